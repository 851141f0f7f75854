#include "vault/logbook_format.hpp"

#include <fmt/format.h>
#include <zstd.h>

#include <algorithm>
#include <map>
#include <utility>

#include "base/bytes.hpp"
#include "base/checksum.hpp"
#include "base/error.hpp"
#include "store/object_store.hpp"
#include "vault/vault.hpp"

namespace lifeboat::vault {
namespace {

constexpr std::string_view kPrefix = "logbook/";
constexpr std::size_t kSample = 64 * 1024;
constexpr std::uint64_t kZstdBlock = 128 * 1024;  // the most that one block of a frame gives…
constexpr std::size_t kLeastZstdBlock = 4;        // …and the least that it takes
constexpr std::uint8_t kReplaces = 1;             // flag of the trailer

[[noreturn]] void corrupt(const std::string& name, const std::string& what) {
  throw_corrupt(ObjectType::logbook, name, what);
}

std::string compress(std::string_view bytes, int level) {
  std::string out(ZSTD_compressBound(bytes.size()), '\0');
  std::size_t n = ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), level);
  if (ZSTD_isError(n) != 0) {
    throw Error(Code::failed, "logbook", std::string("zstd: ") + ZSTD_getErrorName(n));
  }
  out.resize(n);
  return out;
}

// WAL shrinks to a third, record batches mostly are compressed already: a sample tells.
bool worth_compressing(std::string_view bytes, int level) {
  auto sample = bytes.substr(0, kSample);
  return sample.size() >= 128 && compress(sample, level).size() < sample.size() / 10 * 9;
}

void append_text(std::string& out, std::string_view text) {
  append_le<std::uint16_t>(out, static_cast<std::uint16_t>(text.size()));
  out += text;
}

std::string_view take_text(ByteReader& reader) {
  return reader.take(reader.le<std::uint16_t>());
}

// Log names are written once, extents and gaps refer to them by number.
class NameTable {
 public:
  std::uint32_t number(const LogName& log) {
    auto [it, is_new] = numbers_.try_emplace(log, static_cast<std::uint32_t>(names_.size()));
    if (is_new) names_.push_back(log);
    return it->second;
  }
  const std::vector<LogName>& names() const { return names_; }

 private:
  std::map<LogName, std::uint32_t> numbers_;
  std::vector<LogName> names_;
};

void append_extent(std::string& out, std::uint32_t log, const StoredExtent& stored) {
  append_le<std::uint32_t>(out, log);
  append_le<std::int64_t>(out, stored.extent.base.value);
  append_le<std::int64_t>(out, stored.extent.next.value);
  append_le<std::int64_t>(out, stored.extent.min_time.value);
  append_le<std::int64_t>(out, stored.extent.max_time.value);
  append_le<std::uint64_t>(out, stored.offset.value);
  append_le<std::uint64_t>(out, stored.stored.value);
  append_le<std::uint64_t>(out, stored.raw.value);
  append_le<std::uint8_t>(out, static_cast<std::uint8_t>(stored.codec));
  append_le<std::uint32_t>(out, stored.crc);
  append_text(out, stored.extent.attributes_json);
}

void append_replaced(std::string& out, const ReplacedObjects& replaced) {
  std::string ranges;
  std::uint32_t count = 0;
  for (const auto& [incarnation, set] : replaced.sets()) {
    for (const auto& [first, end] : set.ranges()) {
      append_text(ranges, incarnation);
      append_le<std::uint64_t>(ranges, first);
      append_le<std::uint64_t>(ranges, end);
      ++count;
    }
  }
  append_le<std::uint32_t>(out, count);
  out += ranges;
}

ReplacedObjects take_replaced(ByteReader& reader, const std::string& name) {
  ReplacedObjects out;
  for (auto n = reader.le<std::uint32_t>(); n > 0; --n) {
    std::string incarnation(take_text(reader));
    auto first = reader.le<std::uint64_t>();
    auto end = reader.le<std::uint64_t>();
    if (first >= end || !valid_incarnation(incarnation)) {
      corrupt(name, "its footer replaces objects that cannot be");
    }
    out.add(incarnation, first, end);
  }
  return out;
}

std::string encode_footer(const Footer& footer) {
  NameTable table;
  std::string extents, gaps;
  for (const auto& stored : footer.extents) {
    append_extent(extents, table.number(stored.extent.log), stored);
  }
  for (const auto& gap : footer.gaps) {
    append_le<std::uint32_t>(gaps, table.number(gap.log));
    append_le<std::int64_t>(gaps, gap.from.value);
    append_le<std::int64_t>(gaps, gap.to.value);
    append_text(gaps, gap.why);
  }
  std::string out;
  append_le<std::int64_t>(out, footer.created.value);
  append_le<std::uint32_t>(out, static_cast<std::uint32_t>(table.names().size()));
  append_le<std::uint32_t>(out, static_cast<std::uint32_t>(footer.extents.size()));
  append_le<std::uint32_t>(out, static_cast<std::uint32_t>(footer.gaps.size()));
  for (const auto& log : table.names()) append_text(out, log.value);
  out += extents + gaps;
  if (!footer.replaced.empty()) append_replaced(out, footer.replaced);
  return out;
}

const LogName& take_log(ByteReader& reader, const std::vector<LogName>& logs,
                        const std::string& name) {
  auto number = reader.le<std::uint32_t>();
  if (number >= logs.size()) corrupt(name, "its footer refers to a log that it does not name");
  return logs[number];
}

StoredExtent take_extent(ByteReader& reader, const std::vector<LogName>& logs,
                         const std::string& name) {
  StoredExtent out;
  out.extent.log = take_log(reader, logs, name);
  out.extent.base = Position(reader.le<std::int64_t>());
  out.extent.next = Position(reader.le<std::int64_t>());
  out.extent.min_time = Timestamp(reader.le<std::int64_t>());
  out.extent.max_time = Timestamp(reader.le<std::int64_t>());
  out.offset = ByteCount(reader.le<std::uint64_t>());
  out.stored = ByteCount(reader.le<std::uint64_t>());
  out.raw = ByteCount(reader.le<std::uint64_t>());
  out.codec = static_cast<Codec>(reader.le<std::uint8_t>());
  out.crc = reader.le<std::uint32_t>();
  out.extent.attributes_json = std::string(take_text(reader));
  if (out.codec != Codec::none && out.codec != Codec::zstd) {
    throw_newer(ObjectType::logbook, name,
                fmt::format("{} has codec {}, which this one does not know", describe(out.extent),
                            static_cast<unsigned>(out.codec)));
  }
  if (!valid_range(out.extent.base, out.extent.next) || out.raw > kMaxExtent) {
    corrupt(name, "its footer has an extent that cannot be: " + describe(out.extent));
  }
  return out;
}

}  // namespace

std::string logbook_name(const LogbookObjectName& name) {
  return fmt::format("{}{}/{:020}", kPrefix, name.incarnation, name.sequence);
}

std::optional<LogbookObjectName> parse_logbook_name(std::string_view name) {
  if (!name.starts_with(kPrefix) || !store::valid_name(name)) return std::nullopt;
  auto slash = name.find('/', kPrefix.size());
  if (slash == std::string_view::npos || name.size() - slash - 1 != 20) return std::nullopt;
  LogbookObjectName out{std::string(name.substr(kPrefix.size(), slash - kPrefix.size())), 0};
  for (char c : name.substr(slash + 1)) {
    if (c < '0' || c > '9' || out.sequence > (~0ull - 9) / 10) return std::nullopt;
    out.sequence = out.sequence * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return out;
}

bool valid_log(const LogName& log) {
  return !log.value.empty() && log.value.size() <= kMaxLogName &&
         std::all_of(log.value.begin(), log.value.end(),
                     [](char c) { return c > ' ' && c <= '~'; });
}

std::string describe(const Extent& extent) {
  return fmt::format("{} [{}, {})", extent.log.value, extent.base, extent.next);
}

bool valid_incarnation(std::string_view incarnation) {
  return incarnation.find('/') == std::string_view::npos && store::valid_name(incarnation);
}

ExtentBytes piece_of(std::string bytes) {
  auto buffer = std::make_shared<const std::string>(std::move(bytes));
  return {*buffer, buffer};
}

LogbookObject::LogbookObject(std::string name, int zstd_level, const Sealing* sealing,
                             std::shared_ptr<std::string> room)
    : name_(std::move(name)), zstd_level_(zstd_level), room_(std::move(room)), at_(kHeaderSize) {
  if (sealing == nullptr) return;
  footer_.salt = Salt::fresh();
  seal_ = sealing->object(ObjectType::logbook, name_, footer_.salt);
}

void LogbookObject::add(const Extent& extent, std::vector<ExtentBytes> pieces,
                        bool try_compressing) {
  StoredExtent stored{extent, ByteCount(at_), {}, {}, {}, 0};
  for (const auto& piece : pieces) stored.raw = stored.raw + piece.bytes.size();
  if (try_compressing && !pieces.empty() && worth_compressing(pieces.front().bytes, zstd_level_)) {
    std::string whole;
    whole.reserve(stored.raw.value);
    for (auto& piece : pieces) whole += std::exchange(piece, {}).bytes;
    stored.codec = Codec::zstd;
    pieces.assign(1, piece_of(compress(whole, zstd_level_)));
  }
  if (seal_) pieces.assign(1, sealed(pieces));
  for (auto& piece : pieces) {
    auto size = piece.bytes.size();
    stored.crc = piece.crc32c ? crc32c_combine(stored.crc, *piece.crc32c, size)
                              : crc32c(piece.bytes, stored.crc);
    stored.stored = stored.stored + size;
    pieces_.push_back(std::move(piece));
  }
  at_ += stored.stored.value;
  footer_.extents.push_back(std::move(stored));
}

// As the extent that lies at at_.
ExtentBytes LogbookObject::sealed(const std::vector<ExtentBytes>& pieces) {
  std::vector<std::string_view> bytes;
  std::size_t size = kTagSize;
  for (const auto& piece : pieces) {
    bytes.push_back(piece.bytes);
    size += piece.bytes.size();
  }
  auto buffer = room_;
  std::size_t begin = room_used_;
  if (!buffer || buffer->size() - begin < size) {
    buffer = std::make_shared<std::string>(size, '\0');
    begin = 0;
  } else {
    room_used_ += size;
  }
  seal_->seal(SealedPart::extent, ByteCount(at_), {}, bytes, buffer->data() + begin);
  return {std::string_view(*buffer).substr(begin, size), buffer};
}

std::vector<std::string_view> LogbookObject::finish(Timestamp created, std::vector<Gap> gaps,
                                                    ReplacedObjects replaced) {
  footer_.created = created;
  footer_.gaps = std::move(gaps);
  footer_.replaced = std::move(replaced);
  ends_ = finish_container(seal_ ? &*seal_ : nullptr, footer_.salt, ObjectType::logbook, name_,
                           ByteCount(at_), encode_footer(footer_),
                           footer_.replaced.empty() ? std::uint8_t{0} : kReplaces);
  at_ += ends_.end.size();
  std::vector<std::string_view> parts{ends_.header};
  for (const auto& piece : pieces_) parts.push_back(piece.bytes);
  parts.push_back(ends_.end);
  return parts;
}

Footer decode_footer(const std::string& name, const ContainerFooter& footer) {
  Footer out;
  out.salt = footer.salt;
  ByteReader reader(footer.bytes(), "logbook " + name);
  out.created = Timestamp(reader.le<std::int64_t>());
  auto logs_count = reader.le<std::uint32_t>();
  auto extents_count = reader.le<std::uint32_t>();
  auto gaps_count = reader.le<std::uint32_t>();
  std::vector<LogName> logs;
  for (std::uint32_t i = 0; i < logs_count; ++i) {
    logs.push_back({std::string(take_text(reader))});
    if (!valid_log(logs.back())) corrupt(name, "its footer has a log name that cannot be");
  }
  std::uint64_t at = kHeaderSize;
  for (std::uint32_t i = 0; i < extents_count; ++i) {
    out.extents.push_back(take_extent(reader, logs, name));
    const auto& extent = out.extents.back();
    if (extent.offset.value != at || extent.stored.value > footer.at - at) {
      corrupt(name, "its extents do not lie back to back");
    }
    at += extent.stored.value;
  }
  for (std::uint32_t i = 0; i < gaps_count; ++i) {
    Gap gap;
    gap.log = take_log(reader, logs, name);
    gap.from = Position(reader.le<std::int64_t>());
    gap.to = Position(reader.le<std::int64_t>());
    gap.why = std::string(take_text(reader));
    if (!valid_range(gap.from, gap.to)) corrupt(name, "its footer has a gap that cannot be");
    out.gaps.push_back(std::move(gap));
  }
  if ((footer.flags & kReplaces) != 0) out.replaced = take_replaced(reader, name);
  reader.expect_end();
  if (at != footer.at) {
    corrupt(name, "its extents end at " + std::to_string(at) + ", and its footer begins at " +
                      std::to_string(footer.at));
  }
  return out;
}

std::string open_extent(const Sealing* sealing, const std::string& name, const Salt& salt,
                        const StoredExtent& extent, std::string stored) {
  if (stored.size() != extent.stored.value || crc32c(stored) != extent.crc) {
    corrupt(name, "its extent " + describe(extent.extent) + " does not match its checksum");
  }
  if (sealing != nullptr) {
    auto opened = sealing->object(ObjectType::logbook, name, salt)
                      .open(SealedPart::extent, extent.offset, {}, stored.data(), stored.size());
    stored.resize(opened.size());
  }
  std::string out;
  if (extent.codec == Codec::none) {
    out = std::move(stored);
  } else {
    if (extent.raw.value / kZstdBlock > stored.size() / kLeastZstdBlock) {
      corrupt(name,
              "its extent " + describe(extent.extent) + " is told to be longer than it can be");
    }
    out.resize(extent.raw.value);
    std::size_t n = ZSTD_decompress(out.data(), out.size(), stored.data(), stored.size());
    if (ZSTD_isError(n) != 0 || n != out.size()) {
      corrupt(name, "its extent " + describe(extent.extent) + " cannot be decompressed");
    }
  }
  if (out.size() != extent.raw.value) {
    corrupt(name, "its extent " + describe(extent.extent) + " has another length");
  }
  return out;
}

Footer open_logbook_object(const Sealing* sealing, const std::string& name,
                           std::string_view object) {
  return decode_footer(name, open_container(sealing, ObjectType::logbook, name, object, kReplaces));
}

Footer read_footer(const Vault& vault, const std::string& name, ByteCount object_size) {
  return decode_footer(
      name, read_container_footer(vault, ObjectType::logbook, name, object_size, kReplaces));
}

Footer find_footer(const Sealing* sealing, const std::string& name, std::string_view object) {
  return decode_footer(
      name, find_container_footer(sealing, ObjectType::logbook, name, object, kReplaces));
}

Footer check_logbook_object(const Sealing* sealing, const std::string& name,
                            std::string_view object) {
  Footer footer = open_logbook_object(sealing, name, object);
  for (const auto& extent : footer.extents) {
    open_extent(sealing, name, footer.salt, extent,
                std::string(object.substr(extent.offset.value, extent.stored.value)));
  }
  return footer;
}

}  // namespace lifeboat::vault
