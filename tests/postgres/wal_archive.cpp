#include "wal_archive.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "base/file.hpp"
#include "postgres/wal_file.hpp"

namespace lifeboat::postgres::test {

namespace {
constexpr ByteCount kSegment(16 << 20);
}

WalArchive::WalArchive(std::filesystem::path directory) : directory_(std::move(directory)) {
  std::filesystem::create_directories(directory_);
  std::filesystem::permissions(directory_, std::filesystem::perms(0755));
}

void WalArchive::event(std::string what) {
  if (events_.empty() || events_.back() != what) events_.push_back(std::move(what));
}

std::optional<Lsn> WalArchive::resume_at(std::uint64_t, TimelineId timeline) {
  const std::lock_guard lock(mutex_);
  const auto found = logs_.find(timeline);
  if (found == logs_.end()) return std::nullopt;
  return found->second.end;
}

void WalArchive::on_wal(std::uint64_t system, TimelineId timeline, Lsn start,
                        std::string_view bytes) {
  Lsn end = start + bytes.size();
  {
    const std::lock_guard lock(mutex_);
    if (fail_after && bytes_ >= *fail_after) throw std::runtime_error("the archive broke");
    bytes_ += bytes.size();
    auto [log, first] = logs_.try_emplace(timeline, Log{start, start});
    if (first && start != segment_start(start, kSegment)) mistakes_.push_back("not a segment");
    if (log->second.end != start) {
      mistakes_.push_back(fmt::format("timeline {}: {} after {}", timeline, to_string(start),
                                      to_string(log->second.end)));
    }
    event(fmt::format("wal {}", timeline));
    while (!bytes.empty()) {
      const auto path = directory_ / wal_file_name(timeline, start, kSegment);
      const auto fd = open_file(path, O_WRONLY | O_CREAT, 0644);
      const auto room = segment_end(start, kSegment) - start;
      const auto piece = bytes.substr(0, room);
      if (::ftruncate(fd.get(), static_cast<off_t>(kSegment.value)) != 0 ||
          ::pwrite(fd.get(), piece.data(), piece.size(),
                   static_cast<off_t>(start - segment_start(start, kSegment))) !=
              static_cast<ssize_t>(piece.size())) {
        throw system_error(errno, path.string(), "pwrite");
      }
      start = start + piece.size();
      bytes.remove_prefix(piece.size());
    }
    log->second.end = end;
  }
  if (durable_to != nullptr) durable_to->durable(system, timeline, end);
}

void WalArchive::on_history(std::uint64_t, TimelineId timeline, std::string_view bytes) {
  const std::lock_guard lock(mutex_);
  event(fmt::format("history {}", timeline));
  write_file_durably(directory_ / history_file_name(timeline), bytes, 0644);
}

void WalArchive::on_gap(std::uint64_t, TimelineId timeline, Lsn from, Lsn to, std::string_view) {
  const std::lock_guard lock(mutex_);
  auto [log, first] = logs_.try_emplace(timeline, Log{from, from});
  if (log->second.end != from || to <= from) mistakes_.push_back("a gap that does not fit");
  log->second.end = to;
  gaps_.push_back({timeline, from, to});
}

Lsn WalArchive::begin(TimelineId timeline) const {
  const std::lock_guard lock(mutex_);
  const auto found = logs_.find(timeline);
  return found == logs_.end() ? Lsn() : found->second.begin;
}

Lsn WalArchive::end(TimelineId timeline) const {
  const std::lock_guard lock(mutex_);
  const auto found = logs_.find(timeline);
  return found == logs_.end() ? Lsn() : found->second.end;
}

std::vector<WalArchive::Gap> WalArchive::gaps() const {
  const std::lock_guard lock(mutex_);
  return gaps_;
}

std::vector<std::string> WalArchive::mistakes() const {
  const std::lock_guard lock(mutex_);
  return mistakes_;
}

std::vector<std::string> WalArchive::events() const {
  const std::lock_guard lock(mutex_);
  return events_;
}

std::string WalArchive::restore_command() const {
  return "cp '" + directory_.string() + "'/\"%f\" \"%p\"";
}

RunningReceiver::RunningReceiver(const Config& config, WalArchive& archive, bool durable,
                                 WalReceiverOptions options)
    : receiver_(config, "lifeboat_test", archive, Clock::real(), options) {
  archive.durable_to = durable ? &receiver_ : nullptr;
  thread_ = std::thread([this] {
    try {
      receiver_.run(cancel_);
    } catch (const std::exception& error) {
      thrown_ = error.what();
    }
  });
}

RunningReceiver::~RunningReceiver() {
  stop();
}

void RunningReceiver::stop() {
  cancel_.request();
  if (thread_.joinable()) thread_.join();
}

}  // namespace lifeboat::postgres::test
