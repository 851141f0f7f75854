#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "vault/snapshot.hpp"

namespace lifeboat::vault {

// The bytes of `snapshots/<64 hex>` and of the list that it names; docs/format.md. What is done
// with them: snapshot.hpp.
struct SnapshotRoot {
  std::string kind;
  nlohmann::json meta;
  std::uint64_t entries = 0;
  ByteCount bytes;              // of all files
  std::vector<ChunkRef> pages;  // put together they are the list of entries
};
std::string encode(const SnapshotRoot& root);
// Named after its payload. Error(corrupt) also when `name` is not that of this content.
std::string snapshot_name(const Sealing* sealing, const SnapshotId& id);
SnapshotRoot open_snapshot(const Sealing* sealing, const std::string& name, std::string object);

// The records of the list.
constexpr std::size_t kMaxPath = 4096;
bool valid_path(std::string_view path);

std::string encode_directory(const std::string& path, std::uint32_t mode);
std::string encode_symlink(const std::string& path, const std::string& target);
std::string encode_file(const std::string& path, std::uint32_t mode, Timestamp mtime);
std::string encode_stamp(const FileStamp& stamp);  // of the file before it
std::string encode_chunk(const ChunkRef& ref);     // likewise
std::string encode_end(ByteCount size);            // likewise

class PageReader;

// Puts entries together again, page by page and one by one. Throws Error(corrupt) that names the
// snapshot for every list that a writer does not write. Memory: the page, and an entry.
class EntryParser {
 public:
  explicit EntryParser(std::string name);
  ~EntryParser();
  // The next page; what was not taken of the one before is left out.
  void page(std::string bytes);
  // The next entry that ends in this page; nullopt: there are no more.
  std::optional<Entry> next();
  // After the last page: compares with what the root says.
  void finish(std::uint64_t entries, ByteCount bytes) const;

 private:
  std::optional<Entry> record();
  std::optional<Entry> begin(Entry entry);
  void add_stamp(const FileStamp& stamp);
  void add_chunk(const ChunkRef& ref);
  Entry end_file(ByteCount size);
  [[noreturn]] void corrupt(const std::string& what) const;

  std::string name_;
  std::string page_;
  std::unique_ptr<PageReader> reader_;  // of page_; nullptr: none was given yet
  std::optional<Entry> file_;           // begun, not ended
  std::uint64_t entries_ = 0;
  std::uint64_t bytes_ = 0;
};

}  // namespace lifeboat::vault
