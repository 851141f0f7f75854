#include "fuzz/containers.hpp"
#include "fuzz/targets.hpp"
#include "vault/logbook_format.hpp"
#include "vault/pack_format.hpp"
#include "vault/sealing.hpp"
#include "vault/summary_format.hpp"

// Objects of an encrypted vault, changed by somebody who knows the format and not the key. The
// first byte says which kind of object follows.
namespace lifeboat::fuzz {
namespace {

const std::string kLogbook = "logbook/20261122T170506123Z-00000000/00000000000000000000";
const std::string kSummary = "index/20261122T170506123Z-00000000/00000000000000000000";
const std::string kPack = "packs/20261122T170506123Z-0000000000000000";
const std::string kPoint = "points/20261122T170506123Z-0000";

}  // namespace

void sealed(std::string_view bytes) {
  if (bytes.empty()) return;
  const vault::Sealing sealing(vault::Secret(std::string(vault::kKeySize, 'k')), "the vault");
  const auto kind = static_cast<unsigned char>(bytes[0]) % 4;
  const auto& name = kind == 0 ? kLogbook : kind == 1 ? kSummary : kind == 2 ? kPoint : kPack;
  const bool container = kind == 0 || kind == 3;
  auto object = container ? container_with_checksums(name, bytes.substr(1))
                          : frame_with_checksums(name, bytes.substr(1));
  if (kind == 0) {
    vault::check_logbook_object(&sealing, name, object);
  } else if (kind == 1) {
    const auto summary = vault::open_summary(&sealing, name, object);
    for (const auto& log : summary.logs) {
      vault::open_summarized(&sealing, name, summary, log,
                             object.substr(log.offset.value, log.stored.value));
    }
  } else if (kind == 3) {
    const auto footer = vault::open_pack(&sealing, name, object);
    const auto seal = sealing.object(vault::ObjectType::pack, name, footer.salt);
    for (const auto& chunk : footer.chunks) {
      vault::open_packed_chunk(&seal, name, chunk, object.substr(chunk.offset, chunk.stored));
    }
  } else {
    vault::unseal(&sealing, vault::ObjectType::point, name, object);
  }
}

}  // namespace lifeboat::fuzz

LIFEBOAT_FUZZ_TARGET(sealed)
