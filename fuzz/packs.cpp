#include "fuzz/containers.hpp"
#include "fuzz/targets.hpp"
#include "vault/pack_format.hpp"

namespace lifeboat::fuzz {

void packs(std::string_view bytes) {
  const std::string name = "packs/20261122T170506123Z-0000000000000000";
  const auto object = container_with_checksums(name, bytes);
  const auto footer = vault::open_pack(nullptr, name, object);
  for (const auto& chunk : footer.chunks) {
    vault::open_packed_chunk(nullptr, name, chunk, object.substr(chunk.offset, chunk.stored));
  }
}

}  // namespace lifeboat::fuzz

LIFEBOAT_FUZZ_TARGET(packs)
