#include <atomic>
#include <exception>
#include <mutex>
#include <utility>

#include "base/error.hpp"
#include "vault/entry_list.hpp"
#include "vault/object.hpp"
#include "vault/read_ahead.hpp"
#include "vault/snapshot.hpp"
#include "vault/snapshot_format.hpp"
#include "vault/work_pool.hpp"

namespace lifeboat::vault {
namespace {

// That write files at the same time. One file's writes wait for each other in most file systems,
// and where memory is slow to come by, they are what a restore waits for.
constexpr unsigned kLanes = 2;

// The data of one file.
class OneFile : public EntrySink {
 public:
  explicit OneFile(const std::function<void(std::string_view)>& data) : data_(data) {}
  void add(const Entry&) override {}
  std::unique_ptr<DataSink> begin_file(const Entry&) override {
    return std::make_unique<Data>(data_);
  }

 private:
  struct Data : DataSink {
    explicit Data(const std::function<void(std::string_view)>& to) : give(to) {}
    void data(std::string_view piece) override { give(piece); }
    void end() override {}
    const std::function<void(std::string_view)>& give;
  };
  const std::function<void(std::string_view)>& data_;
};

// Gives a tree's files to several lanes, and what lies between them to the sink. Thread-safe.
class SharedTree {
 public:
  SharedTree(const SnapshotReader& reader, EntrySink& sink) : list_(reader.list()), sink_(sink) {}

  // Neighbours, so many that they can be read together: what they take in the store is not known.
  // None after an error: what follows may rely on what failed.
  std::vector<Entry> some_files() {
    std::lock_guard lock(mutex_);
    if (ended_) return {};
    try {
      return take();
    } catch (...) {
      ended_ = true;
      throw;
    }
  }

 private:
  static constexpr std::size_t kMostFiles = 2048;
  static constexpr std::size_t kMostChunks = 16384;
  static constexpr ByteCount kMostBytes{128u << 20};

  std::vector<Entry> take() {
    std::vector<Entry> files;
    std::uint64_t bytes = 0;
    for (std::size_t chunks = 0;
         files.size() < kMostFiles && chunks < kMostChunks && bytes < kMostBytes.value;) {
      auto entry = list_.next();
      if (!entry) break;
      if (entry->type != Entry::Type::file) {
        sink_.add(*entry);
        continue;
      }
      chunks += entry->chunks.size();
      bytes += entry->size.value;
      files.push_back(std::move(*entry));
    }
    return files;
  }

  std::mutex mutex_;  // guards what follows
  EntryList list_;
  EntrySink& sink_;
  bool ended_ = false;
};

// Of what several threads met, the first in time: what follows comes of it. Thread-safe.
class FirstError {
 public:
  void add(std::exception_ptr error) {
    std::lock_guard lock(mutex_);
    if (!error_) error_ = std::move(error);
    any_ = true;
  }
  bool any() const { return any_; }
  void rethrow() const {
    if (any_) std::rethrow_exception(error_);
  }

 private:
  std::mutex mutex_;  // guards error_, as long as there are several
  std::exception_ptr error_;
  std::atomic<bool> any_ = false;
};

}  // namespace

std::string snapshot_name(const Vault& vault, const SnapshotId& id) {
  return snapshot_name(vault.sealing(), id);
}

struct SnapshotReader::Impl {
  std::string name;
  std::unique_ptr<Chunks> own;
  Chunks& chunks;
  SnapshotRoot root;

  Impl(std::unique_ptr<Chunks> its, Chunks& used, std::string named)
      : name(std::move(named)), own(std::move(its)), chunks(used) {
    const Vault& vault = chunks.vault();
    auto object = vault.store().get(name);
    if (!object) {
      throw Error(Code::not_found, "snapshot " + name, "is missing from the vault",
                  "use another point (lifeboat points)");
    }
    root = open_snapshot(vault.sealing(), name, std::move(*object));
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
  return impl_->root.kind;
}
const nlohmann::json& SnapshotReader::meta() const {
  return impl_->root.meta;
}
std::uint64_t SnapshotReader::entries() const {
  return impl_->root.entries;
}
ByteCount SnapshotReader::bytes() const {
  return impl_->root.bytes;
}
const std::vector<ChunkRef>& SnapshotReader::pages() const {
  return impl_->root.pages;
}

void SnapshotReader::for_each(const std::function<void(const Entry&)>& visit) const {
  auto entries = list();
  while (const auto entry = entries.next()) visit(*entry);
}

EntryList SnapshotReader::list() const {
  return {impl_->chunks, impl_->name, impl_->root.pages, impl_->root.entries, impl_->root.bytes};
}

void SnapshotReader::read_tree(EntrySink& sink) const {
  const unsigned lanes = impl_->chunks.threads() > 1 ? kLanes : 1;
  SharedTree tree(*this, sink);
  FirstError failed;
  WorkPool pool(lanes > 1 ? lanes : 0);
  for (unsigned i = 0; i < lanes; ++i) {
    pool.later<void>([&] {
      try {
        ReadAhead lane(impl_->chunks, impl_->name, [&] { return tree.some_files(); }, sink, lanes);
        while (!failed.any() && lane.advance()) {
        }
      } catch (...) {
        failed.add(std::current_exception());
      }
    });
  }
  pool.wait_until_idle();
  failed.rethrow();
}

void SnapshotReader::read_file(const Entry& entry,
                               const std::function<void(std::string_view)>& data) const {
  OneFile sink(data);
  bool given = false;
  const auto source = [&] {
    return std::exchange(given, true) ? std::vector<Entry>() : std::vector<Entry>{entry};
  };
  ReadAhead ahead(impl_->chunks, impl_->name, source, sink);
  while (ahead.advance()) {
  }
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
