#include "kafka/compression.hpp"

#include "fuzz/targets.hpp"

namespace lifeboat::fuzz {

// The first byte chooses the compression.
void compression(std::string_view bytes) {
  if (bytes.empty()) return;
  constexpr std::size_t kLimit = 1u << 20;
  static kafka::Decompressor decompressor{ByteCount(kLimit)};  // used again, as by a reader
  const auto codec = static_cast<kafka::Compression>(1 + static_cast<unsigned char>(bytes[0]) % 4);
  const std::string out(decompressor.run(codec, bytes.substr(1), "fuzz"));
  if (out.size() > kLimit) broken("more than the limit");
}

}  // namespace lifeboat::fuzz

LIFEBOAT_FUZZ_TARGET(compression)
