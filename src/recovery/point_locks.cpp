#include "recovery/point_locks.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <set>

#include "base/file.hpp"
#include "vault/keys.hpp"
#include "vault/locks.hpp"
#include "vault/logbook.hpp"
#include "vault/snapshot.hpp"

namespace lifeboat::recovery {
namespace {

std::set<std::string> needed_by(const vault::Vault& vault, const vault::Chunks& chunks,
                                const vault::RecoveryPoint& point) {
  auto names = chunks.used_packs();
  for (const auto& id : vault::snapshots_of(point)) names.insert(vault::snapshot_name(vault, id));
  const auto logs = vault::logs_of(point);
  if (!logs.empty()) {
    const auto logbook = vault::Logbook::load(vault);
    for (const auto& need : logs) {
      if (need.until) names.merge(logbook.objects(need.log, need.position, *need.until));
    }
  }
  names.insert("vault");
  vault.store().list(std::string(vault::kKeyPrefix),
                     [&](const store::ObjectInfo& info) { names.insert(info.name); });
  return names;
}

}  // namespace

void lock_content_of(const Context& c, const vault::Vault& vault, const vault::Chunks& chunks,
                     const vault::RecoveryPoint& point) {
  const auto& s3 = c.config.vault.s3;
  if (!s3 || !s3->lock) return;
  step(c, "lock", "Lock what the point needs", [&] {
    const auto file = c.config.state / "locks";
    auto known = vault::decode_locks(read_file(file).value_or(""), vault.id());
    const auto names = needed_by(vault, chunks, point);
    const auto done = vault::lock_content(vault, {names.begin(), names.end()}, s3->lock->retain,
                                          known, c.clock, c.cancel);
    write_file_durably(file, vault::encode_locks(known, vault.id()));
    spdlog::info("{} objects are needed; asked of {} whether they are locked, locked {} again",
                 names.size(), done.asked, done.locked);
  });
}

}  // namespace lifeboat::recovery
