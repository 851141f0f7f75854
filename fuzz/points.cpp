#include "fuzz/targets.hpp"
#include "vault/object.hpp"
#include "vault/point_format.hpp"

// The payload of a point, whole, open or revoked: what is taken is written as it was read.
namespace lifeboat::fuzz {
namespace {

const std::string kId = "20261122T170506123Z-0123";

std::string read(std::string_view payload) {
  const auto object = vault::frame(vault::ObjectType::point, vault::point_name(kId), payload);
  const auto point = vault::open_point_object(nullptr, kId, object);
  if (const auto* unfinished = std::get_if<vault::UnfinishedPoint>(&point)) {
    vault::describe(*unfinished);
    return vault::encode(*unfinished);
  }
  const auto& whole = std::get<vault::RecoveryPoint>(point);
  if (!whole.stores.is_object()) broken("a point without stores");
  vault::snapshots_of(whole);
  vault::logs_of(whole);
  return vault::encode(whole);
}

}  // namespace

void points(std::string_view bytes) {
  const auto again = read(bytes);
  if (taken([&] { return read(again); }) != again) broken("a point is not what was read");
}

}  // namespace lifeboat::fuzz

LIFEBOAT_FUZZ_TARGET(points)
