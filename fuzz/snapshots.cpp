#include "fuzz/targets.hpp"
#include "vault/snapshot_format.hpp"

// The payload of a snapshot's root, under the name that its content gives it: what is taken is
// written as it was read.
namespace lifeboat::fuzz {
namespace {

vault::SnapshotRoot read(std::string_view payload) {
  const auto name = vault::snapshot_name(nullptr, {sha256(payload)});
  return vault::open_snapshot(nullptr, name,
                              vault::frame(vault::ObjectType::snapshot, name, payload));
}

}  // namespace

void snapshots(std::string_view bytes) {
  const auto root = read(bytes);
  for (const auto& page : root.pages) {
    if (page.size > vault::kMaxChunk) broken("a page that no chunk can hold");
  }
  const auto again = vault::encode(root);
  if (vault::encode(taken([&] { return read(again); })) != again) {
    broken("a snapshot is not what was read");
  }
}

}  // namespace lifeboat::fuzz

LIFEBOAT_FUZZ_TARGET(snapshots)
