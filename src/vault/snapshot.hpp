#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "vault/chunker.hpp"
#include "vault/chunks.hpp"

namespace lifeboat::vault {

// SHA-256 of the snapshot's root: a point that names it pins every byte below it, and the same
// state taken twice has the same id. Printed as 64 hex digits.
struct SnapshotId {
  Digest digest;
  std::string hex() const { return digest.hex(); }
  static std::optional<SnapshotId> parse(std::string_view hex);
  friend auto operator<=>(const SnapshotId&, const SnapshotId&) = default;
};

struct SnapshotOptions {
  ByteCount chunk_size{1u << 20};  // Cut::aligned cuts at multiples of it; <= 8 MiB
  ChunkSizes sizes;                // of Cut::by_content; most <= 8 MiB
  ByteCount page_size{1u << 20};   // of the list of entries; <= 8 MiB
  ChunkOptions chunks;
};

// Where a file's data is cut into chunks. Aligned: what is overwritten in place changes the chunks
// that it lies in; for files of pages. By content: what is inserted moves nothing else; for the
// rest.
enum class Cut { by_content, aligned };

// What a file system told of a file before it was read. As long as it tells the same, and the file
// has the same size, its data is the same: who sets one has seen to it that every later change
// gives another time (docs/postgres-files.md).
struct FileStamp {
  std::uint64_t inode = 0;
  std::int64_t changed = 0;  // of the inode (ctime); nanoseconds since 1970
  friend auto operator<=>(const FileStamp&, const FileStamp&) = default;
};

// Paths are relative, '/'-separated, at most 4096 bytes, without empty, "." or ".." segments and
// without NUL: the writer refuses others, and so does the reader.
struct Entry {
  enum class Type { directory, symlink, file };
  Type type = Type::file;
  std::string path;
  std::uint32_t mode = 0;          // permission bits; 0777 for symlinks
  Timestamp mtime;                 // files only
  std::string target;              // symlinks only, as it was read
  ByteCount size;                  // files only
  std::optional<FileStamp> stamp;  // files only, and not of each
  std::vector<ChunkRef> chunks;    // files only: their data in order, 36 bytes a MiB
};

// Writes a tree, front to back. One thread at a time. Nothing can be seen before finish(); what
// an abandoned writer wrote are packs whose chunks the next one finds again. Memory: two pages, a
// chunk, and what Chunks states.
class SnapshotWriter {
 public:
  // `kind` says what it is a state of: "postgres-base", "kafka-metadata", "znodes"…
  SnapshotWriter(Vault vault, std::string kind, SnapshotOptions options = {});
  // With chunks that others write to as well; `options.chunks` is not looked at.
  SnapshotWriter(Chunks& chunks, std::string kind, SnapshotOptions options = {});
  ~SnapshotWriter();

  void add_directory(const std::string& path, std::uint32_t mode);
  void add_symlink(const std::string& path, const std::string& target);
  void begin_file(const std::string& path, std::uint32_t mode, Timestamp mtime,
                  Cut cut = Cut::by_content, std::optional<FileStamp> stamp = {});
  void data(std::string_view bytes);  // of the file begun; pieces of any size
  void end_file();
  // A whole small file.
  void add_file(const std::string& path, std::uint32_t mode, Timestamp mtime,
                std::string_view bytes);

  // A file as another snapshot of the vault has it, without its data. False, and nothing was done,
  // when some of that is not there any more.
  bool add_known_file(const Entry& file);

  // Waits until all chunks are durable, then writes the root: the snapshot exists.
  SnapshotId finish(const nlohmann::json& meta);

  ChunkStats stats() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Takes the data of a file: all of it, in order.
class DataSink {
 public:
  virtual ~DataSink() = default;
  virtual void data(std::string_view piece) = 0;
  virtual void end() = 0;  // all of it was given
};

// Takes a tree. What it and its files' sinks throw comes out of read_tree().
class EntrySink {
 public:
  virtual ~EntrySink() = default;
  // Directories and symlinks: one at a time, in the order in which they were written; each before
  // the files that were written after it are begun.
  virtual void add(const Entry& entry) = 0;
  // A file. Several are begun, and written to, at the same time, on threads that may be others than
  // that of read_tree(); each file's on one. What does not end is not whole.
  virtual std::unique_ptr<DataSink> begin_file(const Entry& entry) = 0;
};

class EntryList;

// Reads a snapshot. Thread-safe. Errors: not_found and corrupt name the object; what is not in the
// tree is never guessed.
class SnapshotReader {
 public:
  SnapshotReader(Vault vault, const SnapshotId& id);
  // By the name of its object.
  SnapshotReader(Vault vault, const std::string& name);
  // With chunks that others read as well; they must outlive it.
  SnapshotReader(Chunks& chunks, const std::string& name);
  ~SnapshotReader();

  const std::string& kind() const;
  const nlohmann::json& meta() const;
  std::uint64_t entries() const;
  ByteCount bytes() const;  // of all files, uncompressed

  // In the order in which they were written. Memory: one page, and an entry.
  void for_each(const std::function<void(const Entry&)>& visit) const;
  // The same, asked for one by one.
  EntryList list() const;
  // All entries with their data, two files at a time when there are threads for it. Reads ahead,
  // over the ends of files, what lies near each other at once. Memory: that of ReadAhead, and what
  // Chunks states.
  void read_tree(EntrySink& sink) const;
  // The file's data, chunk by chunk. Reads ahead likewise.
  void read_file(const Entry& entry, const std::function<void(std::string_view)>& data) const;
  // The whole file at `path` (found by going through the list); nullopt when there is none.
  // Error(corrupt) above `limit`.
  std::optional<std::string> read_small(const std::string& path,
                                        ByteCount limit = ByteCount(64u << 20)) const;
  // The chunks that hold the list of entries.
  const std::vector<ChunkRef>& pages() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// snapshots/<64 digits>: the id, or what an encrypted vault names it by.
std::string snapshot_name(const Vault& vault, const SnapshotId& id);

}  // namespace lifeboat::vault
