#include "ledger.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

namespace loadgen {
namespace {

constexpr std::array<const char*, 8> kNames = {
    "events.sent",     "persons.sent",   "replay.sent",  "events.answers",
    "persons.answers", "replay.answers", "transactions", "journal.jsonl"};
constexpr std::array<std::uint32_t, 7> kRecordSizes = {
    sizeof(EventSent),        sizeof(PersonSent),      sizeof(ReplaySent),
    sizeof(MessageAnswered),  sizeof(MessageAnswered), sizeof(MessageAnswered),
    sizeof(TransactionRecord)};
constexpr std::uint32_t kVersion = 1;
constexpr auto kRound = std::chrono::milliseconds(50);

template <class Value>
std::string_view bytes(const Value& value) {
  return {reinterpret_cast<const char*>(&value), sizeof(value)};
}

void write_all(int fd, std::string_view data) {
  while (!data.empty()) {
    const ssize_t written = ::write(fd, data.data(), data.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      fmt::print(stderr, "lifeboat-load: the ledger cannot be written: {}\n", std::strerror(errno));
      std::_Exit(3);
    }
    data.remove_prefix(static_cast<std::size_t>(written));
  }
}

}  // namespace

std::uint64_t now_us() {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(since).count());
}

std::string text(Id id) {
  return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", id.high >> 32, (id.high >> 16) & 0xffff,
                     id.high & 0xffff, id.low >> 48, id.low & 0xffffffffffff);
}

Ledger::Ledger(const std::filesystem::path& directory) : directory_(directory) {
  if (std::filesystem::exists(directory_ / kNames[0]))
    throw std::runtime_error(fmt::format("{} holds a ledger already", directory_.string()));
  std::filesystem::create_directories(directory_);
  for (std::size_t slot = 0; slot < kSlots; ++slot) {
    const std::string path = directory_ / kNames[slot];
    files_[slot].fd =
        ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0644);
    if (files_[slot].fd < 0)
      throw std::runtime_error(fmt::format("{}: {}", path, std::strerror(errno)));
    if (slot == kJournal) continue;
    files_[slot]
        .waiting.append("LBLEDGER")
        .append(bytes(kVersion))
        .append(bytes(kRecordSizes[slot]));
  }
  writer_ = std::thread([this] { write_out_regularly(); });
}

Ledger::~Ledger() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  ends_.notify_all();
  writer_.join();
  write_out();
  for (const File& file : files_) ::close(file.fd);
}

template <class Record>
void Ledger::append(Slot slot, const Record& record) {
  const std::lock_guard lock(mutex_);
  files_[slot].waiting.append(bytes(record));
  ++files_[slot].records;
}

void Ledger::sent(const EventSent& record) {
  append(kEvents, record);
}

void Ledger::sent(const PersonSent& record) {
  append(kPersons, record);
}

void Ledger::sent(const ReplaySent& record) {
  append(kReplay, record);
}

void Ledger::answered(Topic topic, const MessageAnswered& record) {
  append(static_cast<Slot>(kEventAnswers + static_cast<int>(topic)), record);
}

void Ledger::transaction(const TransactionRecord& record) {
  append(kTransactions, record);
}

void Ledger::journal(std::string_view what, std::string_view fields) {
  const double at = static_cast<double>(now_us()) / 1e6;
  const std::string line = fmt::format("{{\"at\":{:.6f},\"what\":\"{}\"{}{}}}\n", at, what,
                                       fields.empty() ? "" : ",", fields);
  const std::lock_guard lock(mutex_);
  files_[kJournal].waiting.append(line);
}

void Ledger::close() {
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return;
    closed_ = true;
  }
  std::string counts = "\"records\":{";
  for (std::size_t slot = 0; slot < kJournal; ++slot)
    counts += fmt::format("{}\"{}\":{}", slot == 0 ? "" : ",", kNames[slot], files_[slot].records);
  write_out();
  journal("closed", counts + "}");
  write_out();
}

void Ledger::write_out() {
  const std::lock_guard round(write_mutex_);
  std::array<std::string, kSlots> taken;
  {
    const std::lock_guard lock(mutex_);
    for (std::size_t slot = 0; slot < kSlots; ++slot) taken[slot].swap(files_[slot].waiting);
  }
  for (std::size_t slot = 0; slot < kSlots; ++slot) write_all(files_[slot].fd, taken[slot]);
}

void Ledger::write_out_regularly() {
  std::unique_lock lock(mutex_);
  while (!ends_.wait_for(lock, kRound, [this] { return ending_; })) {
    lock.unlock();
    write_out();
    lock.lock();
  }
}

}  // namespace loadgen
