#include "recovery/restore_logs.hpp"

#include <algorithm>

#include "recovery/targets.hpp"
#include "vault/prune_word.hpp"

namespace lifeboat::recovery {

RestoreLogs::RestoreLogs(const vault::Vault& vault, const Plan& plan,
                         const vault::RecoveryPoint& point)
    : vault_(vault), plan_(plan), point_(point) {}

// Words are read first: what one decided is in pruned/ before it goes.
std::vector<std::string> RestoreLogs::gone() {
  if (!follows_logs(plan_)) return {};
  const auto decided = vault::decided_logs(vault_);
  auto all = vault::read_pruned(vault_).logs;
  all.narrow(decided);
  if (good_ && good_->logs() == all.logs()) return {};
  auto out = foresee_logs(vault_, point_, plan_, decided, load_logs(vault_, plan_)).pruned;
  std::erase_if(out, [&](const auto& told) {
    return std::ranges::find(plan_.warnings, told) != plan_.warnings.end();
  });
  if (out.empty()) good_ = std::move(all);
  return out;
}

}  // namespace lifeboat::recovery
