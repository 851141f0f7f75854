#include "vault/locks.hpp"

#include "base/error.hpp"
#include "vault/keys.hpp"
#include "vault/logbook.hpp"
#include "vault/prune_logs.hpp"
#include "vault/snapshot.hpp"
#include "vault/work_pool.hpp"

namespace lifeboat::vault {
namespace {

constexpr unsigned kRequestsAtOnce = 16;

Millis when_written(Millis retain) {
  return retain + retain / 4;
}
Millis when_used(Millis retain) {
  return retain + retain / 8;
}

bool begins(const std::string& name, std::initializer_list<std::string_view> prefixes) {
  for (auto prefix : prefixes) {
    if (name.starts_with(prefix)) return true;
  }
  return false;
}

struct Locked {
  Timestamp until;
  bool again = false;
};

}  // namespace

store::LockRule lock_rule(Millis retain) {
  return [retain](const std::string& name, store::Write how) {
    if (how == store::Write::replace) return begins(name, {"points/"}) ? retain : Millis(0);
    const bool kept =
        name == "vault" || begins(name, {"keys/", "packs/", "snapshots/", "logbook/"});
    return kept ? when_written(retain) : Millis(0);
  };
}

std::set<std::string> needed_by(const Vault& vault, const Chunks& chunks,
                                const RecoveryPoint& point) {
  auto names = chunks.used_packs();
  for (const auto& id : snapshots_of(point)) names.insert(snapshot_name(vault, id));
  const auto logs = logs_of(point);
  if (!logs.empty()) {
    const auto logbook = Logbook::load(vault);
    for (const auto& need : logs) {
      if (!need.until) continue;
      // An object that was not given whole would be left out, and not be locked.
      if (const auto why = why_lacking(logbook, PrunedLogs(), need)) {
        throw Error(Code::conflict, need.log.value, "the logbook lacks WAL: " + *why,
                    "run `lifeboat backup` again; when it stays so, `lifeboat verify` says more");
      }
      names.merge(logbook.objects(need.log, need.position, *need.until));
    }
  }
  names.insert("vault");
  for (auto& name : store::list_twice(vault.store(), std::string(kKeyPrefix))) {
    names.insert(std::move(name));
  }
  return names;
}

LocksDone lock_content(const Vault& vault, const std::vector<std::string>& names, Millis retain,
                       KnownLocks& known, const Clock& clock, const Cancel& cancel) {
  const auto needed = clock.now() + when_used(retain).count();
  const auto wanted = clock.now() + when_written(retain).count();
  KnownLocks now;
  std::vector<std::string> doubtful;
  for (const auto& name : names) {
    const auto it = known.find(name);
    if (it != known.end() && it->second >= needed)
      now[name] = it->second;
    else
      doubtful.push_back(name);
  }
  auto& store = vault.store();
  const auto asked = for_all<Locked>(
      store, kRequestsAtOnce, doubtful, cancel, [&](const std::string& name) -> Locked {
        const auto until = store.locked_until(name);
        if (until && *until >= needed) return {*until, false};
        if (store.lock_until(name, wanted)) return {wanted, true};
        throw Error(Code::not_found, "object " + name, "is gone, and the new point needs it",
                    "run `lifeboat backup` again; when it stays so, `lifeboat verify` says more");
      });
  LocksDone out{names.size(), asked.size(), 0};
  for (const auto& [name, locked] : asked) {
    now[name] = locked.until;
    out.locked += locked.again ? 1 : 0;
  }
  known = std::move(now);
  return out;
}

LocksDone lock_needed(const Vault& vault, const Chunks& chunks, const RecoveryPoint& point,
                      Millis retain, KnownLocks& known, const Clock& clock, const Cancel& cancel) {
  constexpr int kTries = 4;
  for (int tries = 1;; ++tries) {
    const auto names = needed_by(vault, chunks, point);
    try {
      return lock_content(vault, {names.begin(), names.end()}, retain, known, clock, cancel);
    } catch (const Error& error) {
      if (error.code() != Code::not_found || tries == kTries) throw;
    }
  }
}

std::map<std::string, Timestamp> locked_now(const Vault& vault,
                                            const std::vector<std::string>& names,
                                            const Cancel& cancel) {
  auto& store = vault.store();
  std::map<std::string, Timestamp> out;
  for (auto& [name, until] : for_all<std::optional<Timestamp>>(
           store, kRequestsAtOnce, names, cancel,
           [&](const std::string& name) { return store.locked_until(name); })) {
    if (until) out[name] = *until;
  }
  return out;
}

}  // namespace lifeboat::vault
