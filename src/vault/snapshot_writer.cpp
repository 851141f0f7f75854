#include <deque>

#include "base/bytes.hpp"
#include "base/error.hpp"
#include "vault/object.hpp"
#include "vault/snapshot.hpp"
#include "vault/snapshot_format.hpp"

namespace lifeboat::vault {
namespace {

constexpr std::size_t kMostWaiting = 4096;  // records whose chunks may not be durable yet

}  // namespace

struct SnapshotWriter::Impl {
  // A record, in the order of the list: its bytes, or a chunk that is being written.
  struct Record {
    std::string bytes;
    std::future<ChunkRef> chunk;
  };

  Vault vault;
  std::string kind;
  SnapshotOptions options;
  std::deque<Record> waiting;
  std::string page;
  std::vector<std::future<ChunkRef>> pages;
  std::string piece;  // of the file begun
  GearTable table;
  ContentChunker chunker;
  Cut cut = Cut::by_content;
  bool in_file = false;
  std::uint64_t file_size = 0;
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;
  bool finished = false;
  std::unique_ptr<Chunks> own;  // last: its threads end first
  Chunks& chunks;

  Impl(std::unique_ptr<Chunks> its, Chunks& used, std::string k, SnapshotOptions o)
      : vault(used.vault()),
        kind(std::move(k)),
        options(std::move(o)),
        table(make_gear_table(vault.sealing())),
        chunker(table, options.sizes),
        own(std::move(its)),
        chunks(used) {
    constexpr std::uint64_t most = kMaxChunk.value / 2;
    auto possible = [](std::uint64_t size) { return size > 0 && size <= most; };
    const auto& sizes = options.sizes;
    if (!possible(options.chunk_size.value) || !possible(options.page_size.value) ||
        !possible(sizes.most) || sizes.least > sizes.mean || sizes.mean > sizes.most) {
      throw Error(Code::failed, "snapshot " + kind,
                  "chunk and page size must be 1 to " + std::to_string(most) + " bytes");
    }
  }

  void begin_entry(const std::string& path) {
    if (finished || in_file) {
      throw Error(Code::failed, "snapshot " + kind, "'" + path + "' begins inside another entry");
    }
    if (!valid_path(path)) {
      throw Error(Code::failed, "snapshot " + kind, "takes no entry with the path '" + path + "'");
    }
    ++entries;
  }

  void add(Record record) {
    waiting.push_back(std::move(record));
    if (waiting.size() > kMostWaiting) write_front();
  }

  void write_front() {
    Record record = std::move(waiting.front());
    waiting.pop_front();
    page += record.chunk.valid() ? encode_chunk(record.chunk.get()) : record.bytes;
    if (page.size() >= options.page_size.value) flush_page();
  }

  void flush_page() {
    pages.push_back(chunks.put_later(std::move(page)));
    page.clear();
  }

  void data(std::string_view more) {
    if (!in_file) throw Error(Code::failed, "snapshot " + kind, "data outside of a file");
    file_size += more.size();
    while (!more.empty()) {
      bool ends = false;
      auto n = next_piece(more, ends);
      if (!piece.empty()) piece.reserve(std::max(piece.size() + n, usual_size()));
      piece += more.substr(0, n);
      more.remove_prefix(n);
      if (ends) flush_piece();
    }
  }

  std::size_t next_piece(std::string_view more, bool& ends) {
    if (cut == Cut::by_content) return chunker.feed(more, ends);
    auto n = std::min<std::size_t>(more.size(), options.chunk_size.value - piece.size());
    ends = piece.size() + n == options.chunk_size.value;
    return n;
  }

  // What comes in parts is likely to become that large, and is not moved while it grows.
  std::size_t usual_size() const {
    return cut == Cut::aligned ? options.chunk_size.value : options.sizes.least;
  }

  void flush_piece() {
    add({"", chunks.put_later(std::move(piece))});
    piece.clear();
  }

  void end_file() {
    if (!in_file) throw Error(Code::failed, "snapshot " + kind, "no file was begun");
    if (!piece.empty()) flush_piece();
    add({encode_end(ByteCount(file_size)), {}});
    bytes += file_size;
    in_file = false;
  }

  SnapshotId finish(const nlohmann::json& meta) {
    if (finished || in_file) {
      throw Error(Code::failed, "snapshot " + kind, "finished inside a file, or twice");
    }
    finished = true;
    while (!waiting.empty()) write_front();
    if (!page.empty()) flush_page();
    SnapshotRoot root{kind, meta, entries, ByteCount(bytes), {}};
    for (auto& future : pages) root.pages.push_back(future.get());
    chunks.flush();
    return write_root(encode(root));
  }

  // Its name is made of its content: a root that is there is this one, or a damaged one that this
  // one heals.
  SnapshotId write_root(const std::string& payload) {
    SnapshotId id{sha256(payload)};
    std::string name = snapshot_name(vault, id);
    std::string object = seal(vault.sealing(), ObjectType::snapshot, name, payload);
    if (vault.store().put_if_absent(name, object) == store::PutResult::exists &&
        !holds(vault, ObjectType::snapshot, name, payload)) {
      vault.store().put(name, object);
    }
    return id;
  }
};

SnapshotWriter::SnapshotWriter(Vault vault, std::string kind, SnapshotOptions options) {
  auto own = std::make_unique<Chunks>(vault, options.chunks);
  auto& chunks = *own;
  impl_ = std::make_unique<Impl>(std::move(own), chunks, std::move(kind), std::move(options));
}
SnapshotWriter::SnapshotWriter(Chunks& chunks, std::string kind, SnapshotOptions options)
    : impl_(std::make_unique<Impl>(nullptr, chunks, std::move(kind), std::move(options))) {}
SnapshotWriter::~SnapshotWriter() = default;

void SnapshotWriter::add_directory(const std::string& path, std::uint32_t mode) {
  impl_->begin_entry(path);
  impl_->add({encode_directory(path, mode), {}});
}

void SnapshotWriter::add_symlink(const std::string& path, const std::string& target) {
  if (target.empty() || target.size() > kMaxPath || target.find('\0') != std::string::npos) {
    throw Error(Code::failed, "snapshot " + impl_->kind, "'" + path + "' has a bad target");
  }
  impl_->begin_entry(path);
  impl_->add({encode_symlink(path, target), {}});
}

void SnapshotWriter::begin_file(const std::string& path, std::uint32_t mode, Timestamp mtime,
                                Cut cut, std::optional<FileStamp> stamp) {
  impl_->begin_entry(path);
  impl_->in_file = true;
  impl_->cut = cut;
  impl_->chunker.begin();
  impl_->file_size = 0;
  impl_->add({encode_file(path, mode, mtime) + (stamp ? encode_stamp(*stamp) : ""), {}});
}

void SnapshotWriter::data(std::string_view bytes) {
  impl_->data(bytes);
}
void SnapshotWriter::end_file() {
  impl_->end_file();
}

void SnapshotWriter::add_file(const std::string& path, std::uint32_t mode, Timestamp mtime,
                              std::string_view bytes) {
  begin_file(path, mode, mtime);
  data(bytes);
  end_file();
}

bool SnapshotWriter::add_known_file(const Entry& file) {
  if (!impl_->chunks.use(file.chunks)) return false;
  begin_file(file.path, file.mode, file.mtime, Cut::by_content, file.stamp);
  for (const auto& chunk : file.chunks) {
    impl_->file_size += chunk.size.value;
    impl_->add({encode_chunk(chunk), {}});
  }
  end_file();
  return true;
}

SnapshotId SnapshotWriter::finish(const nlohmann::json& meta) {
  return impl_->finish(meta);
}

ChunkStats SnapshotWriter::stats() const {
  return impl_->chunks.stats();
}

}  // namespace lifeboat::vault
