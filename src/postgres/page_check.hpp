#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/types.hpp"

namespace lifeboat::postgres {

// The checksum of a page (src/include/storage/checksum_impl.h of PostgreSQL), with its own place in
// the page taken as zero. `page`: a multiple of 128 bytes; `block`: its number in the relation.
std::uint16_t page_checksum(std::string_view page, std::uint32_t block);

// Of a cluster with data checksums, and of one backup.
struct PageRules {
  std::uint32_t page_size = 0;  // bytes; 0: there is nothing to compare
  std::uint32_t pages_a_segment = 0;
  // A page that was changed since (its LSN) comes whole out of the WAL.
  Lsn begun;
};

struct DamagedPage {
  std::string path;         // in the data directory
  std::uint32_t block = 0;  // in the relation, as the server counts
};

// Looks at the pages of files while they are read, as BASE_BACKUP does: the same files, and the
// same pages of them. Which files those are is told by their paths.
class PageCheck {
 public:
  explicit PageCheck(PageRules rules) : rules_(rules) {}
  void begin(const std::string& path);  // a file in the data directory
  // What lies at `offset`, a multiple of the page size. `again` reads a page once more, false at
  // the file's end: a page may be met half written.
  void look(std::uint64_t offset, std::string_view bytes,
            const std::function<bool(std::uint64_t offset, std::string& page)>& again);
  // Error(corrupt) that names the first of those that were found.
  void expect_none() const;

 private:
  bool holds(std::string_view page, std::uint32_t block) const;

  PageRules rules_;
  std::string path_;
  bool has_pages_ = false;
  std::uint32_t first_ = 0;  // block of the file
  std::string page_;
  std::vector<DamagedPage> found_;  // the first of them
  std::uint64_t count_ = 0;
};

}  // namespace lifeboat::postgres
