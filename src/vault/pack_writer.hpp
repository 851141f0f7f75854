#pragma once

#include <condition_variable>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "base/clock.hpp"
#include "vault/pack_format.hpp"
#include "vault/vault.hpp"

namespace lifeboat::vault {

struct PackWriterOptions {
  ByteCount pack_size{64u << 20};
  bool thread = true;  // of its own to write; else, or when none is to be had, the caller writes
  const Clock* clock = nullptr;
  std::optional<std::uint64_t> seed{};
};

// Fills packs and writes them, one while the next is filled, up to its half. Thread-safe. Memory:
// one and a half packs.
class PackWriter {
 public:
  using Written = std::function<void(const PackBuilder& pack, ByteCount size)>;
  // `written` is told of each pack that is durable, by one thread at a time.
  PackWriter(Vault vault, PackWriterOptions options, Written written);
  ~PackWriter();  // waits for the pack that is being written
  PackWriter(const PackWriter&) = delete;
  PackWriter& operator=(const PackWriter&) = delete;

  // Blocks while a full pack waits. Throws what writing an earlier pack threw.
  void add(const PackableChunk& chunk);
  // What was added is durable when it returns. Throws what writing any pack threw.
  void flush();

 private:
  std::unique_ptr<PackBuilder> fresh();
  void hand_over(std::unique_lock<std::mutex>& lock);
  bool has_thread();
  void work();
  void write_full(std::unique_lock<std::mutex>& lock);
  void write(PackBuilder& pack);

  const Vault vault_;
  const PackWriterOptions options_;
  const Written written_;

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  Random random_;
  std::unique_ptr<PackBuilder> filling_;
  std::unique_ptr<PackBuilder> full_;  // waits for the thread, or is being written
  std::exception_ptr failure_;
  bool stopping_ = false;
  bool alone_;  // without a thread
  std::thread thread_;
};

}  // namespace lifeboat::vault
