#include "fuzz/targets.hpp"
#include "vault/snapshot_format.hpp"

// A snapshot's list of entries, in two pages.
namespace lifeboat::fuzz {

void entries(std::string_view bytes) {
  std::uint64_t count = 0, size = 0;
  vault::EntryParser parser("snapshots/0");
  for (const auto page : {bytes.substr(0, bytes.size() / 2), bytes.substr(bytes.size() / 2)}) {
    parser.page(std::string(page));
    while (const auto entry = parser.next()) {
      ++count;
      size += entry->size.value;
      if (!vault::valid_path(entry->path)) broken("an entry with a path that none may have");
    }
  }
  parser.finish(count, ByteCount(size));
}

}  // namespace lifeboat::fuzz

LIFEBOAT_FUZZ_TARGET(entries)
