#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <map>
#include <system_error>

#include "base/file.hpp"
#include "clickhouse/snapshot.hpp"

namespace lifeboat::clickhouse {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMark = ".backup";
constexpr std::size_t kLongestElement = 64 << 10;  // of one <file> entry

// Reads the few elements that `.backup` has, front to back, through a window of the document.
class XmlReader {
 public:
  XmlReader(const std::function<std::string()>& read, const std::string& subject)
      : read_(read), subject_(subject) {}

  // The next tag's name ("file", "/file", "?xml"); the text before it is in text(). Empty at the
  // end.
  std::string next_tag() {
    text_ = until('<', true);
    if (at_end_) return {};
    std::string tag = until('>', false);
    if (tag.size() > 1 && tag.back() == '/') empty_element_ = true;
    return tag;
  }
  std::string text() const { return unescape(text_); }
  bool take_empty_element() { return std::exchange(empty_element_, false); }

  [[noreturn]] void torn(const std::string& what) const {
    throw Error(Code::corrupt, subject_, what, "take another backup");
  }

 private:
  std::string until(char end, bool may_end) {
    std::string out;
    for (;;) {
      auto found = window_.find(end, at_);
      out.append(window_, at_, found == std::string::npos ? found : found - at_);
      if (out.size() > kLongestElement) torn("an element is too long");
      if (found != std::string::npos) {
        at_ = found + 1;
        return out;
      }
      window_ = read_();
      at_ = 0;
      if (!window_.empty()) continue;
      if (!may_end) torn("ends in the middle of a tag");
      at_end_ = true;
      return out;
    }
  }

  std::string unescape(std::string_view text) const {
    static const std::map<std::string_view, char> entities = {
        {"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}};
    std::string out;
    while (!text.empty()) {
      auto amp = text.find('&');
      out += text.substr(0, amp);
      if (amp == std::string_view::npos) break;
      text.remove_prefix(amp + 1);
      auto end = text.find(';');
      if (end == std::string_view::npos) torn("has an entity that does not end");
      auto name = text.substr(0, end);
      text.remove_prefix(end + 1);
      if (auto known = entities.find(name); known != entities.end()) {
        out += known->second;
      } else {
        out += character(name);
      }
    }
    return out;
  }

  // &#10; and &#xA; below 0x80; names of files are UTF-8 as they are.
  char character(std::string_view name) const {
    if (name.size() < 2 || name[0] != '#') torn("has an unknown entity");
    const bool hex = name[1] == 'x' || name[1] == 'X';
    auto digits = name.substr(hex ? 2 : 1);
    unsigned value = 0;
    auto [end, failure] =
        std::from_chars(digits.data(), digits.data() + digits.size(), value, hex ? 16 : 10);
    if (failure != std::errc() || end != digits.data() + digits.size() || value == 0 ||
        value >= 0x80) {
      torn("has an unknown entity");
    }
    return static_cast<char>(value);
  }

  const std::function<std::string()>& read_;
  const std::string& subject_;
  std::string window_, text_;
  std::size_t at_ = 0;
  bool at_end_ = false, empty_element_ = false;
};

bool is_safe_name(std::string_view name) {
  if (name.empty() || name.front() == '/' || name.find('\0') != std::string_view::npos)
    return false;
  while (!name.empty()) {
    auto part = name.substr(0, name.find('/'));
    if (part.empty() || part == "." || part == "..") return false;
    name.remove_prefix(std::min(name.size(), part.size() + 1));
  }
  return true;
}

class ContentsReader {
 public:
  ContentsReader(XmlReader& xml, const std::string& subject,
                 const std::function<void(const BackupFile&)>& take)
      : xml_(xml), subject_(subject), take_(take) {}

  void read() {
    bool closed = false, version = false, contents = false;
    std::string tag;
    while (!(tag = xml_.next_tag()).empty()) {
      if (closed) xml_.torn("goes on after its end");
      if (tag == "/version") {
        check_version(xml_.text());
        version = true;
      } else if (tag == "base_backup" || tag == "base_backup_uuid") {
        throw Error(Code::unsupported, subject_, "is an increment of another backup");
      } else if (tag == "file") {
        if (!version) xml_.torn("lists files before its version");
        read_file();
      } else if (tag == "/contents" || tag == "contents/") {
        contents = true;
      } else if (tag == "/config") {
        closed = true;
      }
    }
    if (!closed || !version || !contents) xml_.torn("is not complete");
  }

 private:
  void check_version(const std::string& version) const {
    // 1: names of files on disk are the listed ones; 2: adds object keys to it. Both as BackupImpl.
    if (version != "1" && version != "2") {
      throw Error(Code::unsupported, subject_, "its format has the unknown version " + version);
    }
  }

  void read_file() {
    BackupFile file;
    bool sized = false;
    for (std::string tag; (tag = xml_.next_tag()) != "/file";) {
      if (tag.empty() || tag == "file") xml_.torn("has a file's entry that does not end");
      if (tag == "/name") file.name = xml_.text();
      if (tag == "/checksum") file.checksum = xml_.text();
      if (tag == "/data_file") file.data_file = xml_.text();
      if (tag == "/size") {
        file.size = size_of(xml_.text());
        sized = true;
      }
      if (tag == "/use_base" || tag == "/base_size") {
        throw Error(Code::unsupported, subject_, "is an increment of another backup");
      }
    }
    if (file.data_file.empty()) file.data_file = file.name;
    if (!is_safe_name(file.name) || !is_safe_name(file.data_file)) {
      xml_.torn("names a file outside of its folder: " + file.name);
    }
    if (!sized) xml_.torn("has no size for " + file.name);
    const bool hex =
        std::ranges::all_of(file.checksum, [](unsigned char c) { return std::isxdigit(c) != 0; });
    if (!hex || (file.checksum.size() != 32 && (file.size.value != 0 || !file.checksum.empty()))) {
      xml_.torn("has no checksum for " + file.name);
    }
    take_(file);
  }

  ByteCount size_of(const std::string& text) const {
    std::uint64_t value = 0;
    auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failure != std::errc() || end != text.data() + text.size() || text.empty()) {
      xml_.torn("has a size that is not a number: " + text.substr(0, 40));
    }
    return ByteCount(value);
  }

  XmlReader& xml_;
  const std::string& subject_;
  const std::function<void(const BackupFile&)>& take_;
};

bool path_exists(const fs::path& path) {
  std::error_code failure;
  const auto status = fs::status(path, failure);
  if (status.type() == fs::file_type::not_found) return false;
  if (failure) throw system_error(failure.value(), path, "looking");
  return true;
}

std::vector<std::string> backups_where(const BackupPlace& place, bool finished) {
  if (place.path.empty())
    throw Error(Code::usage, place.disk, "its folder cannot be seen from here");
  std::vector<std::string> names;
  std::error_code failure;
  for (fs::directory_iterator item(place.path, failure), end; !failure && item != end;
       item.increment(failure)) {
    const std::string name = item->path().filename();
    if (name.starts_with(kBackupPrefix) && item->is_directory(failure) &&
        path_exists(item->path() / kMark) == finished) {
      names.push_back(name);
    }
  }
  if (failure) throw system_error(failure.value(), place.path, "listing backups");
  std::ranges::sort(names);
  return names;
}

}  // namespace

void parse_backup_xml(const std::function<std::string()>& read, const std::string& subject,
                      const std::function<void(const BackupFile&)>& take) {
  XmlReader xml(read, subject);
  ContentsReader(xml, subject, take).read();
}

BackupFiles::BackupFiles(const BackupPlace& place, const std::string& name) {
  if (place.path.empty())
    throw Error(Code::usage, place.disk, "its folder cannot be seen from here");
  if (!is_safe_name(name) || name.find('/') != std::string::npos) {
    throw Error(Code::usage, name, "is not a name of a backup");
  }
  folder_ = place.path / name;
  if (!path_exists(folder_ / kMark)) {
    throw Error(Code::not_found, folder_, "is not a finished backup: it has no .backup",
                "see that clickhouse.backup.path is the folder of the server's disk");
  }
}

void BackupFiles::for_each(const std::function<void(const BackupFile&)>& take) const {
  const fs::path mark = folder_ / kMark;
  const Fd file = open_file(mark, O_RDONLY | O_CLOEXEC);
  auto read = [&] {
    std::string window(64 << 10, '\0');
    ssize_t n = 0;
    do {
      n = ::read(file.get(), window.data(), window.size());
    } while (n < 0 && errno == EINTR);
    if (n < 0) throw system_error(errno, mark, "reading");
    window.resize(static_cast<std::size_t>(n));
    return window;
  };
  parse_backup_xml(read, mark, take);
}

void BackupFiles::for_each_stored(
    const std::function<void(const std::string&, ByteCount)>& take) const {
  for_each([&](const BackupFile& file) {
    if (file.data_file != file.name || file.size.value == 0) return;  // its bytes lie elsewhere
    std::error_code failure;
    const auto size = fs::file_size(folder_ / file.name, failure);
    if (failure) {
      throw Error(Code::corrupt, folder_ / file.name, "is listed in .backup and is not there",
                  "take another backup");
    }
    if (size != file.size.value) {
      throw Error(Code::corrupt, folder_ / file.name,
                  fmt::format("has {} bytes, .backup says {}", size, file.size),
                  "take another backup");
    }
    take(file.name, file.size);
  });
  take(std::string(kMark), ByteCount(fs::file_size(folder_ / kMark)));
}

std::vector<std::string> finished_backups(const BackupPlace& place) {
  return backups_where(place, true);
}

std::vector<std::string> unfinished_backups(const BackupPlace& place) {
  return backups_where(place, false);
}

void remove_backup(const BackupPlace& place, const std::string& name) {
  if (place.path.empty() || !name.starts_with(kBackupPrefix) || !is_safe_name(name) ||
      name.find('/') != std::string::npos) {
    throw Error(Code::usage, name, "is not a backup of Lifeboat's; it is left alone");
  }
  const fs::path folder = place.path / name;
  std::error_code failure;
  if (!fs::exists(fs::symlink_status(folder, failure))) return;
  if (fs::remove(folder / kMark, failure)) sync_directory(folder);
  if (!failure) fs::remove_all(folder, failure);
  if (failure) throw system_error(failure.value(), folder, "removing");
}

}  // namespace lifeboat::clickhouse
