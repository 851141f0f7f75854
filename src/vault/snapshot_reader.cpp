#include "base/error.hpp"
#include "vault/object.hpp"
#include "vault/read_ahead.hpp"
#include "vault/snapshot.hpp"
#include "vault/snapshot_format.hpp"
#include "vault/text.hpp"

namespace lifeboat::vault {
namespace {

// The data of one file.
class FileSink : public EntrySink {
 public:
  explicit FileSink(const std::function<void(std::string_view)>& data) : data_(data) {}
  void begin(const Entry&) override {}
  void data(std::string_view piece) override { data_(piece); }
  void end_file() override {}

 private:
  const std::function<void(std::string_view)>& data_;
};

}  // namespace

std::string snapshot_name(const Vault& vault, const SnapshotId& id) {
  return "snapshots/" + vault.name_of(id.digest).hex();
}

struct SnapshotReader::Impl {
  std::string name;
  std::unique_ptr<Chunks> own;
  Chunks& chunks;
  std::string kind;
  nlohmann::json meta;
  std::uint64_t entries = 0;
  ByteCount bytes;
  std::vector<ChunkRef> pages;

  Impl(std::unique_ptr<Chunks> its, Chunks& used, std::string named)
      : name(std::move(named)), own(std::move(its)), chunks(used) {
    const Vault& vault = chunks.vault();
    auto object = vault.store().get(name);
    if (!object) {
      throw Error(Code::not_found, "snapshot " + name, "is missing from the vault",
                  "use another point (lifeboat points)");
    }
    auto payload = unseal(vault.sealing(), ObjectType::snapshot, name, *object).payload;
    if (snapshot_name(vault, {sha256(payload)}) != name) {
      throw_corrupt(ObjectType::snapshot, name, "its content is not the one it is named after");
    }
    auto root = parse_json(ObjectType::snapshot, name, payload);
    read_members(ObjectType::snapshot, name, [&] { read(root); });
  }

  void read(const nlohmann::json& root) {
    kind = root.at("kind").get<std::string>();
    meta = root.at("meta");
    entries = root.at("entries").get<std::uint64_t>();
    bytes = ByteCount(root.at("bytes").get<std::uint64_t>());
    for (const auto& page : root.at("pages")) {
      auto digest = Digest::parse(page.at(0).get<std::string>());
      ByteCount size(page.at(1).get<std::uint64_t>());
      if (!digest || size > kMaxChunk) {
        throw_corrupt(ObjectType::snapshot, name, "names a page that cannot be");
      }
      pages.push_back({*digest, size});
    }
  }

  void for_each(const std::function<void(const Entry&)>& visit) const {
    EntryParser parser(name, visit);
    for (const auto& page : pages) {
      std::string bytes_of_page = while_doing("reading the list of entries of snapshot " + name,
                                              [&] { return chunks.get(page); });
      parser.page(bytes_of_page);
    }
    parser.finish(entries, bytes);
  }
};

SnapshotReader::SnapshotReader(Vault vault, const SnapshotId& id)
    : SnapshotReader(vault, snapshot_name(vault, id)) {}
SnapshotReader::SnapshotReader(Vault vault, const std::string& name) {
  auto own = std::make_unique<Chunks>(vault);
  auto& chunks = *own;
  impl_ = std::make_unique<Impl>(std::move(own), chunks, name);
}
SnapshotReader::SnapshotReader(Chunks& chunks, const std::string& name)
    : impl_(std::make_unique<Impl>(nullptr, chunks, name)) {}
SnapshotReader::~SnapshotReader() = default;

const std::string& SnapshotReader::kind() const {
  return impl_->kind;
}
const nlohmann::json& SnapshotReader::meta() const {
  return impl_->meta;
}
std::uint64_t SnapshotReader::entries() const {
  return impl_->entries;
}
ByteCount SnapshotReader::bytes() const {
  return impl_->bytes;
}
const std::vector<ChunkRef>& SnapshotReader::pages() const {
  return impl_->pages;
}

void SnapshotReader::for_each(const std::function<void(const Entry&)>& visit) const {
  impl_->for_each(visit);
}

void SnapshotReader::read_tree(EntrySink& sink) const {
  ReadAhead ahead(impl_->chunks, impl_->name, sink);
  for_each([&](const Entry& entry) { ahead.add(entry); });
  ahead.finish();
}

void SnapshotReader::read_file(const Entry& entry,
                               const std::function<void(std::string_view)>& data) const {
  FileSink sink(data);
  ReadAhead ahead(impl_->chunks, impl_->name, sink);
  ahead.add(entry);
  ahead.finish();
}

std::optional<std::string> SnapshotReader::read_small(const std::string& path,
                                                      ByteCount limit) const {
  std::optional<std::string> out;
  for_each([&](const Entry& entry) {
    if (entry.path != path || entry.type != Entry::Type::file) return;
    if (entry.size > limit) {
      throw_corrupt(ObjectType::snapshot, impl_->name,
                    "'" + path + "' has " + std::to_string(entry.size.value) + " bytes");
    }
    out.emplace();
    read_file(entry, [&](std::string_view bytes) { *out += bytes; });
  });
  return out;
}

}  // namespace lifeboat::vault
