#include <bit>
#include <cstring>

#include "base/bytes.hpp"
#include "base/checksum.hpp"
#include "fuzz/targets.hpp"
#include "postgres/control_file.hpp"

// A cluster's control file, with the checksum that fits.
namespace lifeboat::fuzz {

void control(std::string_view bytes) {
  constexpr std::size_t kCrcAt = 288;
  std::string fixed(bytes);
  if (fixed.size() >= kCrcAt + 4) {
    const auto crc = crc32c(bytes.substr(0, kCrcAt));
    std::memcpy(&fixed[kCrcAt], &crc, sizeof crc);
  }
  const auto read = postgres::parse_control(fixed, "pg_control");
  if (!std::has_single_bit(read.page_size) || read.bytes != fixed) {
    broken("a control file is not what was read");
  }
}

}  // namespace lifeboat::fuzz

LIFEBOAT_FUZZ_TARGET(control)
