#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "vault/snapshot.hpp"

namespace lifeboat::vault {

// The records of a snapshot's list of entries; docs/format.md has the bytes.
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
