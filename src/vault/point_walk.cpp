#include "vault/point_walk.hpp"

#include "vault/damage.hpp"

namespace lifeboat::vault {

std::string ChunkUse::text() const {
  return snapshot + (path == nullptr ? " list of entries" : " file " + *path);
}

std::string PointWalk::describe_snapshot(const std::string& point, const SnapshotId& id) const {
  return "point " + point + " snapshot " + id.hex() + " (" + kind_ + ")";
}

void PointWalk::snapshot(const std::string& point, const SnapshotId& id,
                         const std::function<void(const ChunkRef&, const ChunkUse&)>& visit) {
  damaged_list_.reset();
  SnapshotReader reader(chunks_, snapshot_name(chunks_.vault(), id));
  kind_ = reader.kind();
  const auto whose = describe_snapshot(point, id);
  for (const auto& page : reader.pages()) visit(page, {point, whose, nullptr});
  try {
    reader.for_each([&](const Entry& entry) {
      cancel_.check();
      for (const auto& chunk : entry.chunks) visit(chunk, {point, whose, &entry.path});
    });
  } catch (const Error& error) {
    if (!is_damage(error.code())) throw;
    damaged_list_ = error;
  }
}

}  // namespace lifeboat::vault
