#include "vault/snapshot_format.hpp"

#include "base/bytes.hpp"
#include "base/error.hpp"
#include "vault/object.hpp"
#include "vault/sealing.hpp"
#include "vault/text.hpp"

namespace lifeboat::vault {
namespace {

enum Record : std::uint8_t {
  kDirectory = 1,
  kSymlink = 2,
  kFile = 3,
  kChunk = 4,
  kEnd = 5,
  kStamp = 6
};

void append_string(std::string& out, std::string_view text) {
  append_le<std::uint16_t>(out, static_cast<std::uint16_t>(text.size()));
  out += text;
}

std::string begin_record(Record type, std::string_view path) {
  std::string out(1, static_cast<char>(type));
  append_string(out, path);
  return out;
}

SnapshotRoot root_of(const std::string& name, const nlohmann::json& json) {
  SnapshotRoot root;
  root.kind = json.at("kind").get<std::string>();
  root.meta = json.at("meta");
  root.entries = json.at("entries").get<std::uint64_t>();
  root.bytes = ByteCount(json.at("bytes").get<std::uint64_t>());
  for (const auto& page : json.at("pages")) {
    auto digest = Digest::parse(page.at(0).get<std::string>());
    ByteCount size(page.at(1).get<std::uint64_t>());
    if (!digest || size > kMaxChunk) {
      throw_corrupt(ObjectType::snapshot, name, "names a page that cannot be");
    }
    root.pages.push_back({*digest, size});
  }
  return root;
}

}  // namespace

std::string encode(const SnapshotRoot& root) {
  nlohmann::json json = {{"kind", root.kind},
                         {"meta", root.meta},
                         {"entries", root.entries},
                         {"bytes", root.bytes.value},
                         {"pages", nlohmann::json::array()}};
  for (const auto& page : root.pages) json["pages"].push_back({page.digest.hex(), page.size.value});
  return dump_json(json, "snapshot " + root.kind);
}

std::string snapshot_name(const Sealing* sealing, const SnapshotId& id) {
  const auto named = sealing != nullptr ? sealing->name_of(id.digest) : id.digest;
  return "snapshots/" + named.hex();
}

SnapshotRoot open_snapshot(const Sealing* sealing, const std::string& name, std::string object) {
  auto payload = unseal(sealing, ObjectType::snapshot, name, object).payload;
  if (snapshot_name(sealing, {sha256(payload)}) != name) {
    throw_corrupt(ObjectType::snapshot, name, "its content is not the one it is named after");
  }
  auto json = parse_json(ObjectType::snapshot, name, payload);
  return read_members(ObjectType::snapshot, name, [&] { return root_of(name, json); });
}

std::optional<SnapshotId> SnapshotId::parse(std::string_view hex) {
  auto digest = Digest::parse(hex);
  if (!digest) return std::nullopt;
  return SnapshotId{*digest};
}

class PageReader : public ByteReader {
 public:
  using ByteReader::ByteReader;
  std::string string() { return std::string(take(le<std::uint16_t>())); }
};

bool valid_path(std::string_view path) {
  if (path.empty() || path.size() > kMaxPath || path.find('\0') != std::string_view::npos) {
    return false;
  }
  for (;;) {
    auto slash = path.find('/');
    auto segment = path.substr(0, slash);
    if (segment.empty() || segment == "." || segment == "..") return false;
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
  }
}

std::string encode_directory(const std::string& path, std::uint32_t mode) {
  std::string out = begin_record(kDirectory, path);
  append_le<std::uint32_t>(out, mode);
  return out;
}

std::string encode_symlink(const std::string& path, const std::string& target) {
  std::string out = begin_record(kSymlink, path);
  append_string(out, target);
  return out;
}

std::string encode_file(const std::string& path, std::uint32_t mode, Timestamp mtime) {
  std::string out = begin_record(kFile, path);
  append_le<std::uint32_t>(out, mode);
  append_le<std::int64_t>(out, mtime.value);
  return out;
}

std::string encode_stamp(const FileStamp& stamp) {
  std::string out(1, static_cast<char>(kStamp));
  append_le<std::uint64_t>(out, stamp.inode);
  append_le<std::int64_t>(out, stamp.changed);
  return out;
}

std::string encode_chunk(const ChunkRef& ref) {
  std::string out(1, static_cast<char>(kChunk));
  out.append(reinterpret_cast<const char*>(ref.digest.bytes.data()), ref.digest.bytes.size());
  append_le<std::uint32_t>(out, static_cast<std::uint32_t>(ref.size.value));
  return out;
}

std::string encode_end(ByteCount size) {
  std::string out(1, static_cast<char>(kEnd));
  append_le<std::uint64_t>(out, size.value);
  return out;
}

void EntryParser::corrupt(const std::string& what) const {
  throw_corrupt(ObjectType::snapshot, name_, "its list of entries: " + what);
}

EntryParser::EntryParser(std::string name) : name_(std::move(name)) {}
EntryParser::~EntryParser() = default;

void EntryParser::page(std::string bytes) {
  page_ = std::move(bytes);
  reader_ = std::make_unique<PageReader>(page_, "snapshot " + name_);
}

std::optional<Entry> EntryParser::next() {
  while (reader_ && reader_->left() > 0) {
    if (auto entry = record()) return entry;
  }
  return std::nullopt;
}

// The entry that ends with it.
std::optional<Entry> EntryParser::record() {
  auto& reader = *reader_;
  auto type = reader.le<std::uint8_t>();
  Entry entry;
  switch (type) {
    case kDirectory:
      entry.type = Entry::Type::directory;
      entry.path = reader.string();
      entry.mode = reader.le<std::uint32_t>();
      return begin(std::move(entry));
    case kSymlink:
      entry.type = Entry::Type::symlink;
      entry.mode = 0777;
      entry.path = reader.string();
      entry.target = reader.string();
      return begin(std::move(entry));
    case kFile:
      entry.path = reader.string();
      entry.mode = reader.le<std::uint32_t>();
      entry.mtime = Timestamp(reader.le<std::int64_t>());
      return begin(std::move(entry));
    case kStamp: {
      auto inode = reader.le<std::uint64_t>();
      add_stamp({inode, reader.le<std::int64_t>()});
      return std::nullopt;
    }
    case kChunk: {
      ChunkRef ref;
      std::memcpy(ref.digest.bytes.data(), reader.take(32).data(), 32);
      ref.size = ByteCount(reader.le<std::uint32_t>());
      add_chunk(ref);
      return std::nullopt;
    }
    case kEnd:
      return end_file(ByteCount(reader.le<std::uint64_t>()));
    default:
      corrupt("record of unknown type " + std::to_string(type));
  }
}

std::optional<Entry> EntryParser::begin(Entry entry) {
  if (file_) corrupt("'" + entry.path + "' begins inside '" + file_->path + "'");
  if (!valid_path(entry.path)) corrupt("'" + entry.path + "' is not a path it may have");
  ++entries_;
  if (entry.type != Entry::Type::file) return entry;
  file_ = std::move(entry);
  return std::nullopt;
}

void EntryParser::add_stamp(const FileStamp& stamp) {
  if (!file_ || file_->stamp || !file_->chunks.empty()) corrupt("a stamp that belongs to no file");
  file_->stamp = stamp;
}

void EntryParser::add_chunk(const ChunkRef& ref) {
  if (!file_) corrupt("a chunk outside of a file");
  if (ref.size.value == 0 || ref.size > kMaxChunk) corrupt("a chunk of a size that none has");
  file_->chunks.push_back(ref);
  file_->size = file_->size + ref.size.value;
}

Entry EntryParser::end_file(ByteCount size) {
  if (!file_) corrupt("the end of a file that was not begun");
  if (file_->size != size) corrupt("the size of '" + file_->path + "' is not that of its chunks");
  bytes_ += size.value;
  Entry file = std::move(*file_);
  file_.reset();
  return file;
}

void EntryParser::finish(std::uint64_t entries, ByteCount bytes) const {
  if (file_) corrupt("ends inside '" + file_->path + "'");
  if (entries != entries_ || bytes.value != bytes_) corrupt("is not the one that its root counts");
}

}  // namespace lifeboat::vault
