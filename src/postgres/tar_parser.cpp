#include "postgres/tar_parser.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "postgres/relative_path.hpp"

namespace lifeboat::postgres {

namespace {

constexpr std::size_t kBlock = 512;
constexpr std::uint64_t kLongNameLimit = 4096;
constexpr std::uint64_t kFileLimit = 1ull << 60;
constexpr std::size_t kPiece = 1 << 20;

// Fields of a header: offset and width.
struct Field {
  std::size_t at, width;
};
constexpr Field kName{0, 100}, kMode{100, 8}, kSize{124, 12}, kMtime{136, 12}, kChecksum{148, 8},
    kTarget{157, 100}, kMagic{257, 5}, kPrefix{345, 155};
constexpr std::size_t kTypeAt = 156;

// The bytes of the header, its checksum field taken as blanks.
std::uint64_t checksum_of(std::string_view block) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < block.size(); ++i) {
    const bool own = i >= kChecksum.at && i < kChecksum.at + kChecksum.width;
    sum += own ? ' ' : static_cast<unsigned char>(block[i]);
  }
  return sum;
}

std::string up_to_nul(std::string_view text) {
  return std::string(text.substr(0, text.find('\0')));
}

}  // namespace

TarParser::TarParser(TarVisitor& visitor, std::string subject)
    : visitor_(visitor), subject_(std::move(subject)) {}

void TarParser::fail(const std::string& why) const {
  throw Error(Code::corrupt, subject_, fmt::format("{} (near byte {})", why, offset_));
}

void TarParser::feed(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto taken =
        state_ == State::header || state_ == State::ended ? take_header(bytes) : take_body(bytes);
    bytes.remove_prefix(taken);
    offset_ += taken;
  }
}

void TarParser::finish() const {
  if (state_ != State::ended || !block_.empty()) fail("the archive ends too early");
}

std::size_t TarParser::take_header(std::string_view bytes) {
  const auto n = std::min(bytes.size(), kBlock - block_.size());
  block_.append(bytes.substr(0, n));
  if (block_.size() < kBlock) return n;
  if (block_.find_first_not_of('\0') == std::string::npos) {
    if (++zero_blocks_ == 2) state_ = State::ended;
  } else {
    if (zero_blocks_ > 0) fail("an entry after the end of the archive");
    header();
  }
  block_.clear();
  return n;
}

std::size_t TarParser::take_body(std::string_view bytes) {
  const auto n = static_cast<std::size_t>(
      std::min({static_cast<std::uint64_t>(bytes.size()), left_, std::uint64_t{kPiece}}));
  const auto piece = bytes.substr(0, n);
  if (state_ == State::file) visitor_.file_data(piece);
  if (state_ == State::long_name) long_name_.append(piece);
  if (state_ == State::long_target) long_target_.append(piece);
  left_ -= n;
  if (left_ == 0) end_body();
  return n;
}

void TarParser::begin_body(State state, std::uint64_t size) {
  state_ = state;
  left_ = size;
  padding_ = (kBlock - size % kBlock) % kBlock;
  if (left_ == 0) end_body();
}

void TarParser::end_body() {
  if (state_ == State::file) visitor_.file_end();
  if (state_ == State::padding) padding_ = 0;
  left_ = padding_;
  state_ = left_ > 0 ? State::padding : State::header;
}

std::string TarParser::text(std::size_t at, std::size_t width) const {
  return up_to_nul(std::string_view(block_).substr(at, width));
}

// Octal digits ended by a NUL or a blank, or (first byte 0x80) a big-endian number.
std::uint64_t TarParser::number(std::size_t at, std::size_t width) const {
  auto field = std::string_view(block_).substr(at, width);
  std::uint64_t value = 0;
  if (field.front() == '\x80') {
    for (const char c : field.substr(1)) {
      if (value >> 55 != 0) fail("a number in a header is too large");
      value = value << 8 | static_cast<unsigned char>(c);
    }
    return value;
  }
  field.remove_prefix(std::min(field.find_first_not_of(' '), field.size()));
  std::size_t digits = 0;
  while (digits < field.size() && field[digits] >= '0' && field[digits] <= '7') {
    value = value << 3 | static_cast<std::uint64_t>(field[digits++] - '0');
  }
  const bool ended = digits == field.size() || field[digits] == '\0' || field[digits] == ' ';
  if (digits == 0 || !ended) fail("a number in a header cannot be read");
  return value;
}

void TarParser::header() {
  if (number(kChecksum.at, kChecksum.width) != checksum_of(block_)) {
    fail("the checksum of a header is wrong");
  }
  if (text(kMagic.at, kMagic.width) != "ustar") fail("not a ustar header");
  const char type = block_[kTypeAt];
  TarEntry entry;
  entry.size = ByteCount(number(kSize.at, kSize.width));
  if (entry.size.value > kFileLimit) fail("a file is too large");
  if (type == 'L' || type == 'K') {
    if (entry.size.value == 0 || entry.size.value > kLongNameLimit) fail("a name is too long");
    (type == 'L' ? long_name_ : long_target_).clear();
    begin_body(type == 'L' ? State::long_name : State::long_target, entry.size.value);
    return;
  }
  entry.mode = static_cast<int>(number(kMode.at, kMode.width) & 07777);
  const auto seconds = std::min(number(kMtime.at, kMtime.width), std::uint64_t{1} << 40);
  entry.mtime = Timestamp(static_cast<std::int64_t>(seconds) * 1000);
  const auto prefix = text(kPrefix.at, kPrefix.width);
  const auto name = text(kName.at, kName.width);
  entry.path = !long_name_.empty() ? up_to_nul(long_name_)
               : prefix.empty()    ? name
                                   : prefix + "/" + name;
  entry.target = long_target_.empty() ? text(kTarget.at, kTarget.width) : up_to_nul(long_target_);
  long_name_.clear();
  long_target_.clear();
  begin(type, std::move(entry));
}

void TarParser::begin(char type, TarEntry entry) {
  entry.path = clean_relative_path(entry.path);
  switch (type) {
    case '0':
    case '\0':
    case '7':
      visitor_.entry(entry);
      begin_body(State::file, entry.size.value);
      return;
    case '5':
      entry.kind = TarKind::directory;
      break;
    case '2':
      entry.kind = TarKind::symlink;
      break;
    default:
      fail(fmt::format("an entry of type {:#04x}", static_cast<unsigned char>(type)));
  }
  if (entry.size.value != 0) fail("a directory or link with content");
  visitor_.entry(entry);
}

}  // namespace lifeboat::postgres
