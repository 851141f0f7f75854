#include "vault/summary_format.hpp"

#include <fmt/format.h>
#include <zstd.h>

#include <algorithm>
#include <set>

#include "base/bytes.hpp"
#include "base/checksum.hpp"
#include "base/error.hpp"

namespace lifeboat::vault {
namespace {

constexpr int kLevel = 3;
constexpr std::uint64_t kMostRaw = 64u << 20;  // of one compressed part
constexpr std::size_t kLeastObject = 4;        // bytes that one takes at least…
constexpr std::size_t kLeastExtent = 13;       // …so that what is counted is also there

[[noreturn]] void corrupt(const std::string& name, const std::string& what) {
  throw_corrupt(ObjectType::summary, name, what);
}

// --- numbers: LEB128, signed ones by zigzag ---

void put(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}
void put_signed(std::string& out, std::int64_t value) {
  put(out, (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63));
}
void put_text(std::string& out, std::string_view text) {
  put(out, text.size());
  out += text;
}

std::uint64_t take(ByteReader& in) {
  std::uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    auto byte = in.le<std::uint8_t>();
    value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) return value;
  }
  throw Error(Code::corrupt, in.subject(), "has a number that does not end");
}
std::int64_t take_signed(ByteReader& in) {
  auto value = take(in);
  return static_cast<std::int64_t>(value >> 1) ^ -static_cast<std::int64_t>(value & 1);
}
std::string take_text(ByteReader& in) {
  return std::string(in.take(take(in)));
}
// How many follow: not more than there are bytes for.
std::size_t take_count(ByteReader& in) {
  auto n = take(in);
  if (n > in.left()) throw Error(Code::corrupt, in.subject(), "counts more than it holds");
  return n;
}

// Differences, modulo 2^64: hostile numbers give wrong ones, not undefined ones.
std::int64_t minus(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b));
}
std::int64_t plus(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
}

std::string squeeze(std::string_view bytes) {
  std::string out(ZSTD_compressBound(bytes.size()), '\0');
  std::size_t n = ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), kLevel);
  if (ZSTD_isError(n) != 0) {
    throw Error(Code::failed, "summary", std::string("zstd: ") + ZSTD_getErrorName(n));
  }
  out.resize(n);
  return out;
}

std::string expand(const std::string& name, std::string_view stored, std::uint64_t raw) {
  if (raw > kMostRaw) corrupt(name, "has a part that is too long");
  std::string out(raw, '\0');
  std::size_t n = ZSTD_decompress(out.data(), out.size(), stored.data(), stored.size());
  if (ZSTD_isError(n) != 0 || n != raw) corrupt(name, "has a part that cannot be decompressed");
  return out;
}

// --- the directory ---

void put_objects(std::string& out, const ObjectSet& set) {
  put(out, set.sets().size());
  for (const auto& [incarnation, numbers] : set.sets()) {
    put_text(out, incarnation);
    put(out, numbers.ranges().size());
    for (const auto& [first, end] : numbers.ranges()) {
      put(out, first);
      put(out, end - first);
    }
  }
}

ObjectSet take_objects(ByteReader& in) {
  ObjectSet set;
  for (auto n = take_count(in); n > 0; --n) {
    auto incarnation = take_text(in);
    if (!valid_incarnation(incarnation)) {
      throw Error(Code::corrupt, in.subject(), "names an incarnation that cannot be");
    }
    for (auto ranges = take_count(in); ranges > 0; --ranges) {
      auto first = take(in), length = take(in);
      if (length == 0 || first > UINT64_MAX - length) {
        throw Error(Code::corrupt, in.subject(), "names objects that cannot be");
      }
      set.add(incarnation, first, first + length);
    }
  }
  return set;
}

void put_log(std::string& out, const SummarizedLog& log) {
  put_text(out, log.log.value);
  put(out, log.ranges.size());
  std::int64_t at = 0;
  for (const auto& range : log.ranges) {
    put_signed(out, minus(range.from.value, at));
    put(out, static_cast<std::uint64_t>(range.to - range.from));
    at = range.to.value;
  }
  put(out, log.gaps.size());
  for (const auto& gap : log.gaps) {
    put_signed(out, gap.from.value);
    put(out, static_cast<std::uint64_t>(gap.to - gap.from));
    put_text(out, gap.why);
  }
  put(out, log.extents);
  put(out, log.objects);
  put(out, log.bytes.value);
  put_signed(out, log.min_time.value);
  put_signed(out, log.max_time.value);
  put_text(out, log.last_attributes);
  put(out, log.place.value);
  put(out, log.stored.value);
  put(out, log.raw.value);
  append_le<std::uint32_t>(out, log.crc);
}

Range take_range(ByteReader& in, std::int64_t after) {
  Position from(plus(after, take_signed(in)));
  Position to(plus(from.value, static_cast<std::int64_t>(take(in))));
  if (!valid_range(from, to))
    throw Error(Code::corrupt, in.subject(), "has a range that cannot be");
  return {from, to};
}

SummarizedLog take_log(ByteReader& in, ByteCount object_size) {
  SummarizedLog log;
  log.log.value = take_text(in);
  if (!valid_log(log.log)) {
    throw Error(Code::corrupt, in.subject(), "has a log name that cannot be");
  }
  for (auto n = take_count(in); n > 0; --n) {
    log.ranges.push_back(take_range(in, log.ranges.empty() ? 0 : log.ranges.back().to.value));
  }
  for (auto n = take_count(in); n > 0; --n) {
    auto range = take_range(in, 0);
    log.gaps.push_back({log.log, range.from, range.to, take_text(in)});
  }
  log.extents = take(in);
  log.objects = take(in);
  log.bytes = ByteCount(take(in));
  log.min_time = Timestamp(take_signed(in));
  log.max_time = Timestamp(take_signed(in));
  log.last_attributes = take_text(in);
  log.place = ByteCount(take(in));
  log.stored = ByteCount(take(in));
  log.raw = ByteCount(take(in));
  log.crc = in.le<std::uint32_t>();
  if (log.place > object_size || log.stored.value > object_size.value - log.place.value ||
      (log.extents == 0) != log.ranges.empty() || log.extents > log.raw.value / kLeastExtent) {
    throw Error(Code::corrupt, in.subject(), "has a log that cannot be: " + log.log.value);
  }
  return log;
}

std::string encode_directory(const Summary& summary, bool sealed) {
  std::string out;
  put_signed(out, summary.created.value);
  put_objects(out, summary.covered());
  std::int64_t created = summary.created.value;
  for (const auto& object : summary.objects) {
    put_signed(out, minus(object.created.value, created));
    put(out, object.size.value);
    put(out, object.extents);
    put_objects(out, object.replaces);
    if (sealed) out += object.salt.view();
    created = object.created.value;
  }
  put(out, summary.logs.size());
  for (const auto& log : summary.logs) put_log(out, log);
  return out;
}

Summary decode_directory(const std::string& name, std::string_view bytes, ByteCount object_size,
                         bool sealed) {
  ByteReader in(bytes, std::string(to_string(ObjectType::summary)) + " " + name);
  Summary out;
  out.created = Timestamp(take_signed(in));
  auto covered = take_objects(in);
  if (covered.count() > bytes.size() / kLeastObject) corrupt(name, "counts more than it holds");
  std::int64_t created = out.created.value;
  for (const auto& [incarnation, numbers] : covered.sets()) {
    for (const auto& [first, end] : numbers.ranges()) {
      for (auto sequence = first; sequence < end; ++sequence) {
        created = plus(created, take_signed(in));
        ObjectEntry entry{
            {incarnation, sequence}, Timestamp(created), ByteCount(take(in)), 0, {}, {}};
        entry.extents = static_cast<std::uint32_t>(take(in));
        entry.replaces = take_objects(in);
        if (sealed) entry.salt = Salt::of(in.take(kSaltSize));
        out.objects.push_back(std::move(entry));
      }
    }
  }
  for (auto n = take_count(in); n > 0; --n) out.logs.push_back(take_log(in, object_size));
  in.expect_end();
  return out;
}

// --- a log's extents, column by column: like beside like compresses well ---

std::string encode_extents(const std::vector<SummarizedExtent>& extents) {
  std::string out;
  std::int64_t before = 0;
  for (const auto& one : extents) {
    put_signed(out, minus(one.object, before));
    before = one.object;
  }
  before = 0;
  for (const auto& one : extents) {
    put_signed(out, minus(one.stored.extent.base.value, before));
    put(out, static_cast<std::uint64_t>(one.stored.extent.next - one.stored.extent.base));
    before = one.stored.extent.next.value;
  }
  before = 0;
  for (const auto& one : extents) {
    put_signed(out, minus(one.stored.extent.min_time.value, before));
    before = one.stored.extent.max_time.value;
    put_signed(out, minus(before, one.stored.extent.min_time.value));
  }
  for (const auto& one : extents) put(out, one.stored.offset.value);
  for (const auto& one : extents) put(out, one.stored.raw.value);
  for (const auto& one : extents) {
    put_signed(out, minus(static_cast<std::int64_t>(one.stored.raw.value),
                          static_cast<std::int64_t>(one.stored.stored.value)));
    out += static_cast<char>(one.stored.codec);
  }
  for (const auto& one : extents) put_text(out, one.stored.extent.attributes_json);
  for (const auto& one : extents) append_le<std::uint32_t>(out, one.stored.crc);
  return out;
}

void check_extent(const std::string& name, const SummarizedExtent& one,
                  const std::vector<ObjectEntry>& objects) {
  const auto& stored = one.stored;
  bool possible = one.object < objects.size() && stored.extent.base < stored.extent.next &&
                  stored.raw <= kMaxExtent &&
                  (stored.codec == Codec::none || stored.codec == Codec::zstd);
  if (possible) {
    auto size = objects[one.object].size.value;
    possible = stored.offset.value <= size && stored.stored.value <= size - stored.offset.value;
  }
  if (!possible) corrupt(name, "has an extent that cannot be: " + describe(stored.extent));
}

}  // namespace

std::string summary_name(const std::string& incarnation, std::uint64_t sequence) {
  return fmt::format("{}{}/{:020}", kSummaryPrefix, incarnation, sequence);
}

ObjectSet Summary::covered() const {
  ObjectSet out;
  for (const auto& object : objects) out.add(object.name.incarnation, object.name.sequence);
  return out;
}

void SummaryBuilder::add(const LogbookObjectName& name, ByteCount size, const Footer& footer) {
  auto object = static_cast<std::uint32_t>(summary_.objects.size());
  summary_.objects.push_back({name, footer.created, size,
                              static_cast<std::uint32_t>(footer.extents.size()), footer.replaced,
                              footer.salt});
  for (const auto& stored : footer.extents) {
    auto& extents = logs_[stored.extent.log].extents;
    extents.push_back({stored, object});
    extents.back().stored.extent.log.value.clear();
    weight_ += 1 + stored.extent.attributes_json.size() / 64;
  }
  for (const auto& gap : footer.gaps) logs_[gap.log].gaps.push_back(gap);
}

std::string SummaryBuilder::finish(const Sealing* sealing, const std::string& name,
                                   Timestamp created) {
  summary_.created = created;
  auto salt = sealing == nullptr ? Salt{} : Salt::fresh();
  std::optional<ObjectSeal> seal;
  if (sealing != nullptr) seal = sealing->object(ObjectType::summary, name, salt);
  std::string blocks;
  for (auto& [log_name, log] : logs_) {
    SummarizedLog out;
    out.log = log_name;
    out.gaps = std::move(log.gaps);
    out.extents = log.extents.size();
    std::vector<Range> ranges;
    std::set<std::uint32_t> objects;
    const Extent* last = nullptr;
    for (const auto& one : log.extents) {
      const Extent& extent = one.stored.extent;
      ranges.push_back({extent.base, extent.next});
      objects.insert(one.object);
      out.bytes = out.bytes + one.stored.raw.value;
      out.min_time = last == nullptr ? extent.min_time : std::min(out.min_time, extent.min_time);
      out.max_time = last == nullptr ? extent.max_time : std::max(out.max_time, extent.max_time);
      if (last == nullptr || extent.next > last->next) last = &extent;
    }
    if (last != nullptr) out.last_attributes = last->attributes_json;
    out.objects = objects.size();
    out.ranges = unite(std::move(ranges));
    auto raw = encode_extents(log.extents);
    auto block = squeeze(raw);
    out.place = ByteCount(blocks.size());
    if (seal) seal->seal_tail(SealedPart::block, out.place, {}, block, 0);
    out.stored = ByteCount(block.size());
    out.raw = ByteCount(raw.size());
    out.crc = crc32c(block, crc32c(log_name.value));
    blocks += block;
    summary_.logs.push_back(std::move(out));
  }
  logs_.clear();
  auto directory = encode_directory(summary_, sealing != nullptr);
  auto squeezed = squeeze(directory);
  std::string payload;
  if (seal) payload += salt.view();
  auto stored = squeezed.size() + (seal ? kTagSize : 0);
  append_le<std::uint32_t>(payload, static_cast<std::uint32_t>(stored));
  append_le<std::uint32_t>(payload, static_cast<std::uint32_t>(directory.size()));
  std::uint8_t flags = seal ? kSealed : 0;
  if (seal) {
    ByteCount size(payload.size() + stored + blocks.size());
    auto aad = make_header(ObjectType::summary, name, size, flags).substr(0, kSealedHeader) +
               payload.substr(kSaltSize);
    seal->seal_tail(SealedPart::directory, ByteCount(kHeaderSize + payload.size()), aad, squeezed,
                    0);
  }
  return frame(ObjectType::summary, name, payload + squeezed + blocks, flags);
}

Summary open_summary(const Sealing* sealing, const std::string& name, std::string_view object) {
  auto opened = unframe(ObjectType::summary, name, object);
  check_sealed(sealing, ObjectType::summary, name, opened.flags);
  if ((opened.flags & ~kSealed) != 0) corrupt(name, "has unknown flags");
  ByteReader in(opened.payload, std::string(to_string(ObjectType::summary)) + " " + name);
  auto salt = sealing == nullptr ? Salt{} : Salt::of(in.take(kSaltSize));
  auto lengths = in.rest().substr(0, 8);
  auto stored = in.le<std::uint32_t>();
  auto raw = in.le<std::uint32_t>();
  ByteCount at(kHeaderSize + in.at());
  std::string directory(in.take(stored));
  if (sealing != nullptr) {
    auto aad = std::string(object.substr(0, kSealedHeader)) + std::string(lengths);
    auto bytes = sealing->object(ObjectType::summary, name, salt)
                     .open(SealedPart::directory, at, aad, directory.data(), directory.size());
    directory.resize(bytes.size());
  }
  directory = expand(name, directory, raw);
  auto out = decode_directory(name, directory, ByteCount(in.left()), sealing != nullptr);
  for (auto& log : out.logs) log.offset = log.place + (kHeaderSize + in.at());
  out.salt = salt;
  return out;
}

std::vector<SummarizedExtent> open_summarized(const Sealing* sealing, const std::string& name,
                                              const Summary& summary, const SummarizedLog& log,
                                              std::string stored) {
  if (stored.size() != log.stored.value || crc32c(stored, crc32c(log.log.value)) != log.crc) {
    corrupt(name, "its extents of " + log.log.value + " do not match their checksum");
  }
  if (sealing != nullptr) {
    auto opened = sealing->object(ObjectType::summary, name, summary.salt)
                      .open(SealedPart::block, log.place, {}, stored.data(), stored.size());
    stored.resize(opened.size());
  }
  auto bytes = expand(name, stored, log.raw.value);
  ByteReader in(bytes, std::string(to_string(ObjectType::summary)) + " " + name);
  std::vector<SummarizedExtent> out(log.extents);  // not more than there are bytes for: take_log()
  std::int64_t at = 0;
  for (auto& one : out) {
    at = plus(at, take_signed(in));
    one.object = static_cast<std::uint32_t>(at);
  }
  at = 0;
  for (auto& one : out) {
    auto range = take_range(in, at);
    one.stored.extent.base = range.from;
    one.stored.extent.next = range.to;
    at = range.to.value;
  }
  at = 0;
  for (auto& one : out) {
    one.stored.extent.min_time = Timestamp(plus(at, take_signed(in)));
    at = plus(one.stored.extent.min_time.value, take_signed(in));
    one.stored.extent.max_time = Timestamp(at);
  }
  for (auto& one : out) one.stored.offset = ByteCount(take(in));
  for (auto& one : out) one.stored.raw = ByteCount(take(in));
  for (auto& one : out) {
    auto shrunk = take_signed(in);
    one.stored.stored = ByteCount(
        static_cast<std::uint64_t>(minus(static_cast<std::int64_t>(one.stored.raw.value), shrunk)));
    one.stored.codec = static_cast<Codec>(in.le<std::uint8_t>());
  }
  for (auto& one : out) one.stored.extent.attributes_json = take_text(in);
  for (auto& one : out) one.stored.crc = in.le<std::uint32_t>();
  in.expect_end();
  for (const auto& one : out) check_extent(name, one, summary.objects);
  return out;
}

}  // namespace lifeboat::vault
