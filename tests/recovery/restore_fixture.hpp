#pragma once

#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <string>
#include <vector>

#include "recovery/restore_session.hpp"
#include "vault/prune_fixture.hpp"

namespace lifeboat::recovery {

// Keeps what the operator would read. Thread-safe.
class Notes : public Reporter {
 public:
  void step_begins(const std::string&, const std::string&) override {}
  void step_ends(const std::string&, double) override {}
  void progress(std::string_view, std::uint64_t, std::uint64_t, std::string_view) override {}
  void note(const std::string& text) override {
    std::lock_guard lock(mutex_);
    all_.push_back(text);
    changed_.notify_all();
  }

  std::vector<std::string> all() const {
    std::lock_guard lock(mutex_);
    return all_;
  }
  // The first that has these words; waits for it.
  std::string wait_for(const std::string& words) const {
    std::unique_lock lock(mutex_);
    auto it = all_.end();
    changed_.wait_for(lock, std::chrono::minutes(4), [&] {
      it = std::find_if(all_.begin(), all_.end(),
                        [&](const auto& note) { return note.find(words) != std::string::npos; });
      return it != all_.end();
    });
    if (it != all_.end()) return *it;
    ADD_FAILURE() << "nobody said: " << words;
    return "";
  }

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::vector<std::string> all_;
};

// A machine on which a restore is done: a state folder, and a vault in memory. Signs of life come
// many times a second.
struct RestoreTest : vault::PruneTest {
  RestoreTest() {
    std::string folder = std::filesystem::temp_directory_path() / "lifeboat-restore-XXXXXX";
    config.state = ::mkdtemp(folder.data());
    config.retention.emplace().grace = Millis(20);
  }
  ~RestoreTest() override { std::filesystem::remove_all(config.state); }

  Config config;
  Notes notes;
  Context context{config, clock, random, cancel, notes};
};

}  // namespace lifeboat::recovery
