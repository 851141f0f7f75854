#include "vault/logbook_format.hpp"

#include <fmt/format.h>
#include <zstd.h>

#include <algorithm>
#include <map>

#include "base/bytes.hpp"
#include "base/checksum.hpp"
#include "base/error.hpp"
#include "store/object_store.hpp"

namespace lifeboat::vault {
namespace {

constexpr std::string_view kEndMagic = "LBOATEND";
constexpr std::string_view kPrefix = "logbook/";
constexpr std::size_t kSample = 64 * 1024;

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
  return out + extents + gaps;
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
  if (out.extent.base >= out.extent.next || out.raw > kMaxExtent ||
      (out.codec != Codec::none && out.codec != Codec::zstd)) {
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

LogbookObject::LogbookObject(std::string name, ByteCount expected, int zstd_level)
    : name_(std::move(name)), zstd_level_(zstd_level) {
  bytes_.reserve(kHeaderSize + expected.value + 64 * 1024);
  bytes_.resize(kHeaderSize);
}

void LogbookObject::add(const Extent& extent, std::string_view bytes) {
  StoredExtent stored{extent, ByteCount(bytes_.size()), {}, ByteCount(bytes.size()), {}, 0};
  if (worth_compressing(bytes, zstd_level_)) {
    stored.codec = Codec::zstd;
    bytes_ += compress(bytes, zstd_level_);
  } else {
    bytes_ += bytes;
  }
  stored.stored = ByteCount(bytes_.size() - stored.offset.value);
  stored.crc = crc32c(std::string_view(bytes_).substr(stored.offset.value));
  footer_.extents.push_back(std::move(stored));
}

std::string LogbookObject::finish(Timestamp created, const std::vector<Gap>& gaps) {
  footer_.created = created;
  footer_.gaps = gaps;
  std::string footer = encode_footer(footer_);
  bytes_ += footer;

  std::string trailer;
  append_le<std::uint32_t>(trailer, static_cast<std::uint32_t>(footer.size()));
  append_le<std::uint32_t>(trailer, crc32c(footer, crc32c(name_)));
  append_le<std::uint16_t>(trailer, kFormatVersion);
  append_le<std::uint8_t>(trailer, static_cast<std::uint8_t>(ObjectType::logbook));
  append_le<std::uint8_t>(trailer, 0);
  append_le<std::uint32_t>(trailer, crc32c(trailer, crc32c(name_)));
  trailer += kEndMagic;
  bytes_ += trailer;

  auto header = make_header(ObjectType::logbook, name_, ByteCount(bytes_.size() - kHeaderSize), 0);
  bytes_.replace(0, kHeaderSize, header);
  return std::move(bytes_);
}

Trailer parse_trailer(const std::string& name, std::string_view tail) {
  if (tail.size() < kTrailerSize) corrupt(name, "is cut off: it has no trailer");
  tail.remove_prefix(tail.size() - kTrailerSize);
  if (tail.substr(16) != kEndMagic) corrupt(name, "is cut off: it does not end with its trailer");
  if (load_le<std::uint32_t>(tail.data() + 12) != crc32c(tail.substr(0, 12), crc32c(name))) {
    corrupt(name,
            "its trailer does not match its checksum: it was changed, or the object was written "
            "under another name");
  }
  auto version = load_le<std::uint16_t>(tail.data() + 8);
  if (version != kFormatVersion) throw_newer(ObjectType::logbook, name, version);
  if (tail[10] != static_cast<char>(ObjectType::logbook) || tail[11] != 0) {
    corrupt(name, "is not an object of the logbook, or has unknown flags");
  }
  return {load_le<std::uint32_t>(tail.data()), load_le<std::uint32_t>(tail.data() + 4)};
}

Footer parse_footer(const std::string& name, std::string_view footer, const Trailer& trailer,
                    ByteCount object_size) {
  if (footer.size() != trailer.footer_size || crc32c(footer, crc32c(name)) != trailer.footer_crc) {
    corrupt(name, "its footer does not match its checksum");
  }
  ByteReader reader(footer, "logbook " + name);
  Footer out;
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
    if (extent.offset.value != at || extent.stored.value > object_size.value - at) {
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
    if (gap.from >= gap.to) corrupt(name, "its footer has a gap that cannot be");
    out.gaps.push_back(std::move(gap));
  }
  reader.expect_end();
  if (at + footer.size() + kTrailerSize != object_size.value) {
    corrupt(name, "has " + std::to_string(object_size.value) + " bytes instead of " +
                      std::to_string(at + footer.size() + kTrailerSize));
  }
  return out;
}

std::string open_extent(const std::string& name, const StoredExtent& extent,
                        std::string_view stored) {
  if (stored.size() != extent.stored.value || crc32c(stored) != extent.crc) {
    corrupt(name, "its extent " + describe(extent.extent) + " does not match its checksum");
  }
  std::string out;
  if (extent.codec == Codec::none) {
    out = stored;
  } else {
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

Footer open_logbook_object(const std::string& name, std::string_view object) {
  Header header = parse_header(ObjectType::logbook, name, object);
  if (header.flags != 0) corrupt(name, "has unknown flags");
  if (header.payload_size.value != object.size() - kHeaderSize) {
    corrupt(name, "has " + std::to_string(object.size()) + " bytes instead of " +
                      std::to_string(header.payload_size.value + kHeaderSize));
  }
  Trailer trailer = parse_trailer(name, object);
  if (object.size() < kHeaderSize + kTrailerSize + trailer.footer_size) {
    corrupt(name, "its footer is longer than the object");
  }
  auto footer_at = object.size() - kTrailerSize - trailer.footer_size;
  return parse_footer(name, object.substr(footer_at, trailer.footer_size), trailer,
                      ByteCount(object.size()));
}

Footer check_logbook_object(const std::string& name, std::string_view object) {
  Footer footer = open_logbook_object(name, object);
  for (const auto& extent : footer.extents) {
    open_extent(name, extent, object.substr(extent.offset.value, extent.stored.value));
  }
  return footer;
}

}  // namespace lifeboat::vault
