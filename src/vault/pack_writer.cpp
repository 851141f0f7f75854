#include "vault/pack_writer.hpp"

#include <system_error>

#include "base/error.hpp"

namespace lifeboat::vault {
namespace {

// Less than a pack may have: who loads an index holds the footers of several at a time.
constexpr std::size_t kMostChunks = kMaxPackChunks / 32;

}  // namespace

PackWriter::PackWriter(Vault vault, PackWriterOptions options, Written written)
    : vault_(vault),
      options_(options),
      written_(std::move(written)),
      random_(options.seed ? Random(*options.seed) : Random()),
      alone_(!options.thread) {}

PackWriter::~PackWriter() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

std::unique_ptr<PackBuilder> PackWriter::fresh() {
  const auto& clock = options_.clock != nullptr ? *options_.clock : Clock::real();
  const auto room = options_.pack_size + options_.pack_size.value / 4;  // for the last chunk
  return std::make_unique<PackBuilder>(make_pack_name(clock.now(), random_), vault_.sealing(),
                                       room);
}

void PackWriter::add(const PackableChunk& chunk) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] {
    return failure_ || !full_ || !filling_ || filling_->size().value < options_.pack_size.value / 2;
  });
  if (failure_) std::rethrow_exception(failure_);
  if (!filling_) filling_ = fresh();
  filling_->add(chunk);
  if (filling_->size() >= options_.pack_size || filling_->chunks() >= kMostChunks) {
    hand_over(lock);
  }
}

// Others may add to what is being filled while this waits for its turn.
void PackWriter::hand_over(std::unique_lock<std::mutex>& lock) {
  changed_.wait(lock, [&] { return !full_ || failure_; });
  if (failure_) std::rethrow_exception(failure_);
  if (!filling_ || filling_->empty()) return;
  full_ = std::move(filling_);
  if (has_thread()) return changed_.notify_all();
  write_full(lock);
  if (failure_) std::rethrow_exception(failure_);
}

// From the first pack on it is one way or the other.
bool PackWriter::has_thread() {
  if (alone_ || thread_.joinable()) return !alone_;
  try {
    thread_ = std::thread([this] { work(); });
  } catch (const std::system_error&) {  // the machine gives none
    alone_ = true;
  }
  return !alone_;
}

void PackWriter::flush() {
  std::unique_lock lock(mutex_);
  if (failure_) std::rethrow_exception(failure_);
  if (filling_) hand_over(lock);
  changed_.wait(lock, [&] { return !full_ || failure_; });
  if (failure_) std::rethrow_exception(failure_);
}

void PackWriter::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return stopping_ || full_; });
    if (!full_) return;
    write_full(lock);
  }
}

void PackWriter::write_full(std::unique_lock<std::mutex>& lock) {
  auto* pack = full_.get();
  lock.unlock();
  std::exception_ptr failure;
  try {
    write(*pack);
  } catch (...) {
    failure = std::current_exception();
  }
  lock.lock();
  full_.reset();
  if (failure) failure_ = failure;
  changed_.notify_all();
}

void PackWriter::write(PackBuilder& pack) {
  auto parts = pack.finish();
  std::uint64_t size = 0;
  for (auto part : parts) size += part.size();
  auto& store = vault_.store();
  if (store.put_parts_if_absent(pack.name(), parts) == store::PutResult::exists) {
    // Ours, whose answer was lost, or a name that was drawn twice.
    auto there = store.get_range(pack.name(), ByteCount(size - parts.back().size()),
                                 ByteCount(parts.back().size() + 1));
    if (!there || *there != parts.back()) {
      throw Error(Code::conflict, "pack " + pack.name(), "exists already and is another one",
                  "do again what was interrupted");
    }
  }
  written_(pack, ByteCount(size));
}

}  // namespace lifeboat::vault
