#include "vault/pack_format.hpp"

#include <algorithm>

#include "base/bytes.hpp"
#include "base/error.hpp"
#include "vault/text.hpp"
#include "vault/vault.hpp"

namespace lifeboat::vault {
namespace {

constexpr std::size_t kIdDigits = 16;

[[noreturn]] void corrupt(const std::string& name, const std::string& what) {
  throw_corrupt(ObjectType::pack, name, what);
}

[[noreturn]] void is_not_what_it_was(const std::string& name, const PackedChunk& place) {
  corrupt(name, "its chunk " + place.digest.hex() + " is not what it was");
}

std::string encode_footer(const std::vector<PackedChunk>& chunks) {
  std::string out;
  out.reserve(4 + chunks.size() * 45);
  append_le<std::uint32_t>(out, static_cast<std::uint32_t>(chunks.size()));
  for (const auto& chunk : chunks) {
    out.append(reinterpret_cast<const char*>(chunk.digest.bytes.data()), chunk.digest.bytes.size());
    append_le<std::uint32_t>(out, chunk.stored);
    append_le<std::uint32_t>(out, chunk.size);
    append_le<std::uint8_t>(out, static_cast<std::uint8_t>(chunk.codec));
    append_le<std::uint32_t>(out, chunk.crc);
  }
  return out;
}

PackedChunk take_chunk(ByteReader& reader, const std::string& name) {
  PackedChunk chunk;
  std::memcpy(chunk.digest.bytes.data(), reader.take(32).data(), 32);
  chunk.stored = reader.le<std::uint32_t>();
  chunk.size = reader.le<std::uint32_t>();
  chunk.codec = static_cast<ChunkCodec>(reader.le<std::uint8_t>());
  chunk.crc = reader.le<std::uint32_t>();
  if (!is_chunk_codec(chunk.codec)) {
    throw_newer(ObjectType::pack, name,
                "its chunk " + chunk.digest.hex() + " has codec " +
                    std::to_string(static_cast<unsigned>(chunk.codec)) +
                    ", which this one does not know");
  }
  if (chunk.size > kMaxChunk.value || chunk.stored > chunk.size + kTagSize) {
    corrupt(name, "its footer has a chunk that cannot be: " + chunk.digest.hex());
  }
  return chunk;
}

PackFooter decode_footer(const std::string& name, const ContainerFooter& footer) {
  PackFooter out;
  out.salt = footer.salt;
  ByteReader reader(footer.bytes(), "pack " + name);
  auto count = reader.le<std::uint32_t>();
  if (count > kMaxPackChunks || footer.at > kMaxPack.value) {
    corrupt(name, "is larger than a pack can be");
  }
  std::uint64_t at = kHeaderSize;
  for (; count > 0; --count) {
    out.chunks.push_back(take_chunk(reader, name));
    auto& chunk = out.chunks.back();
    chunk.offset = static_cast<std::uint32_t>(at);
    at += chunk.stored;
    if (at > footer.at) corrupt(name, "its chunks do not fit in front of its footer");
  }
  reader.expect_end();
  if (at != footer.at) {
    corrupt(name, "its chunks end at " + std::to_string(at) + ", and its footer begins at " +
                      std::to_string(footer.at));
  }
  return out;
}

}  // namespace

std::string make_pack_name(Timestamp now, Random& random) {
  return std::string(kPackPrefix) + compact_time(now) + "-" + random.hex(kIdDigits);
}

bool is_pack_name(std::string_view name) {
  if (!name.starts_with(kPackPrefix) || !store::valid_name(name)) return false;
  auto id = name.substr(kPackPrefix.size());
  auto dash = id.find('-');
  return dash != std::string_view::npos && id.size() == dash + 1 + kIdDigits &&
         std::all_of(id.begin(), id.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || c == 'T' || c == 'Z' ||
                  c == '-';
         });
}

PackableChunk compress_chunk(std::string content, int zstd_level) {
  if (content.size() > kMaxChunk.value) {
    throw Error(Code::failed, "chunk",
                "of " + std::to_string(content.size()) + " bytes: at most " +
                    std::to_string(kMaxChunk.value) + " go into one");
  }
  PackableChunk out{{}, static_cast<std::uint32_t>(content.size()), ChunkCodec::none, {}};
  auto [codec, bytes] = compress_content(std::move(content), zstd_level);
  out.codec = codec;
  out.bytes = std::move(bytes);
  return out;
}

PackBuilder::PackBuilder(std::string name, const Sealing* sealing, ByteCount expected)
    : name_(std::move(name)) {
  bytes_.reserve(expected.value);
  if (sealing == nullptr) return;
  salt_ = Salt::fresh();
  seal_ = sealing->object(ObjectType::pack, name_, salt_);
}

void PackBuilder::add(const PackableChunk& chunk) {
  auto stored = chunk.bytes.size() + (seal_ ? kTagSize : 0);
  chunks_.push_back({chunk.digest, static_cast<std::uint32_t>(size().value),
                     static_cast<std::uint32_t>(stored), chunk.size, chunk.codec, 0});
  bytes_ += chunk.bytes;
  if (seal_) bytes_.append(kTagSize, '\0');
}

std::vector<std::string_view> PackBuilder::finish() {
  for (auto& chunk : chunks_) {
    char* at = bytes_.data() + (chunk.offset - kHeaderSize);
    if (seal_) {
      const std::string_view pieces[] = {{at, chunk.stored - kTagSize}};
      seal_->seal(SealedPart::chunk, ByteCount(chunk.offset), {}, pieces, at);
    }
    chunk.crc = crc32c({at, chunk.stored});
  }
  ends_ = finish_container(seal_ ? &*seal_ : nullptr, salt_, ObjectType::pack, name_, size(),
                           encode_footer(chunks_));
  return {ends_.header, bytes_, ends_.end};
}

PackFooter read_pack_footer(const Vault& vault, const std::string& name, ByteCount object_size) {
  return decode_footer(name, read_container_footer(vault, ObjectType::pack, name, object_size));
}

PackFooter open_pack(const Sealing* sealing, const std::string& name, std::string_view object,
                     bool damaged) {
  if (!damaged) return decode_footer(name, open_container(sealing, ObjectType::pack, name, object));
  return decode_footer(name, find_container_footer(sealing, ObjectType::pack, name, object));
}

std::string open_packed_chunk(const ObjectSeal* seal, const std::string& name,
                              const PackedChunk& place, std::string stored) {
  std::string room;
  const auto content = unpack_chunk(seal, name, place, stored, room);
  expect_digest(name, place, sha256(content));
  return place.codec != ChunkCodec::none ? std::move(room) : std::string(content);
}

std::string_view unpack_chunk(const ObjectSeal* seal, const std::string& name,
                              const PackedChunk& place, std::span<char> stored, std::string& room) {
  if (stored.size() != place.stored) {
    corrupt(name, "ends within its chunk " + place.digest.hex());
  }
  std::string_view content(stored.data(), stored.size());
  if (seal != nullptr) {
    content =
        seal->open(SealedPart::chunk, ByteCount(place.offset), {}, stored.data(), stored.size());
  }
  if (place.codec != ChunkCodec::none) {
    if (!decompress_content(place.codec, content, place.size, room)) {
      corrupt(name, "its chunk " + place.digest.hex() + " cannot be decompressed");
    }
    content = room;
  }
  if (content.size() != place.size) is_not_what_it_was(name, place);
  return content;
}

void expect_digest(const std::string& name, const PackedChunk& place, const Digest& digest) {
  if (digest != place.digest) is_not_what_it_was(name, place);
}

}  // namespace lifeboat::vault
