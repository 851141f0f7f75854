#include "recovery/saved_files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <future>
#include <thread>

#include "base/error.hpp"
#include "base/file.hpp"
#include "vault/work_pool.hpp"

namespace lifeboat::recovery {
namespace {

constexpr std::size_t kReadAtOnce = 1 << 18;

}  // namespace

Digest sha256_of_file(const std::filesystem::path& path, ByteCount& size, const Cancel& cancel) {
  Fd fd = open_file(path, O_RDONLY);
  Sha256 hash;
  thread_local std::string buffer(kReadAtOnce, '\0');
  size = ByteCount(0);
  for (;;) {
    cancel.check();
    ssize_t n = ::read(fd.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw system_error(errno, path.string(), "cannot read");
    if (n == 0) return hash.finish();
    hash.update({buffer.data(), static_cast<std::size_t>(n)});
    size = size + static_cast<std::uint64_t>(n);
  }
}

namespace {

// Calls `take` for each line of files.jsonl, without holding the whole list.
void for_each_saved(const vault::SnapshotReader& snapshot,
                    const std::function<void(const SavedFile&)>& take) {
  bool found = false;
  snapshot.for_each([&](const vault::Entry& entry) {
    if (entry.path != "files.jsonl") return;
    found = true;
    std::string rest;
    snapshot.read_file(entry, [&](std::string_view data) {
      rest.append(data);
      std::size_t begin = 0;
      for (auto end = rest.find('\n'); end != std::string::npos; end = rest.find('\n', begin)) {
        take(decode_saved_file(std::string_view(rest).substr(begin, end - begin)));
        begin = end + 1;
      }
      rest.erase(0, begin);
    });
    if (!rest.empty()) {
      throw Error(Code::corrupt, "list of ClickHouse's backup files", "ends within a line");
    }
  });
  if (!found) {
    throw Error(Code::corrupt, "ClickHouse's snapshot", "lacks the list of the backup's files");
  }
}

using Damaged = std::function<void(const SavedFile&, const std::string& problem, Code)>;

// Reads files on the pool's threads, and tells of them in order.
class FileReaders {
 public:
  FileReaders(const Cancel& cancel, const Damaged& damaged) : cancel_(cancel), damaged_(damaged) {}

  void read(const SavedFile& file, const std::filesystem::path& path) {
    if (ahead_.size() >= 2 * kThreads) settle_one();
    ahead_.push_back({file, pool_.later<Read>([path, &cancel = cancel_] {
                        Read out;
                        out.digest = sha256_of_file(path, out.size, cancel);
                        return out;
                      })});
  }
  ByteCount settle_all() {
    while (!ahead_.empty()) settle_one();
    return bytes_;
  }

 private:
  struct Read {
    Digest digest;
    ByteCount size;
  };
  struct Ahead {
    SavedFile file;
    std::future<Read> read;
  };

  void settle_one() {
    auto [file, reading] = std::move(ahead_.front());
    ahead_.pop_front();
    const auto read = reading.get();
    bytes_ = bytes_ + read.size.value;
    if (read.digest == file.sha256) return;
    damaged_(file, "holds other bytes than when it was written", Code::corrupt);
  }

  static inline const unsigned kThreads = std::clamp(std::thread::hardware_concurrency(), 1u, 32u);
  const Cancel& cancel_;
  const Damaged& damaged_;
  ByteCount bytes_;
  std::deque<Ahead> ahead_;
  vault::WorkPool pool_{kThreads};  // last: ends first
};

}  // namespace

FilesChecked check_backup_files(const vault::SnapshotReader& snapshot,
                                const std::filesystem::path& folder, const FileChoice& chosen,
                                const Cancel& cancel, const Damaged& damaged) {
  FilesChecked checked;
  FileReaders readers(cancel, damaged);
  for_each_saved(snapshot, [&](const SavedFile& file) {
    cancel.check();
    ++checked.files;
    checked.total = checked.total + file.size.value;
    std::error_code ec;
    auto path = folder / file.name;
    auto size = std::filesystem::file_size(path, ec);
    if (ec) return damaged(file, "is missing: " + ec.message(), Code::not_found);
    if (size != file.size.value) {
      return damaged(file, fmt::format("has {} bytes instead of {}", size, file.size.value),
                     Code::corrupt);
    }
    if (chosen && chosen(file)) readers.read(file, path);
  });
  checked.bytes = readers.settle_all();
  return checked;
}

}  // namespace lifeboat::recovery
