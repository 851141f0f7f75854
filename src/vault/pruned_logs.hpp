#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "vault/logbook.hpp"
#include "vault/object.hpp"
#include "vault/ranges.hpp"

namespace lifeboat::vault {

// What is left of the logs of which something was pruned: `pruned/<id>`, one object or several;
// what all of them leave is left. Readers of the logbook look at nothing else, whether it is still
// there or not, and the keeper leaves it out when it writes objects anew (docs/prune.md).
class PrunedLogs {
 public:
  // nullptr: all of it.
  const Ranges* left_of(const LogName& log) const;
  bool needs(const LogName& log, Position base, Position next) const;
  // Nothing but these is left of the log, of what was left before.
  void narrow(const LogName& log, const Ranges& left);
  void narrow(const PrunedLogs& others);
  const std::map<LogName, Ranges>& logs() const { return logs_; }
  bool empty() const { return logs_.empty(); }

 private:
  std::map<LogName, Ranges> logs_;
};

constexpr std::string_view kPrunedPrefix = "pruned/";

struct FoundPruned {
  PrunedLogs logs;
  std::vector<std::string> objects;  // names, sorted
  // What cannot be read: then more is shown of the logbook than was left, with holes in it.
  std::vector<DamagedObject> damaged;
};
FoundPruned read_pruned(const Vault& vault);
// `id`: of the word that decided it; whoever finishes that word writes the same.
void write_pruned(const Vault& vault, const std::string& id, const PrunedLogs& logs);

// The ranges as JSON, in words and in these objects: [[from, to], …, [from]].
nlohmann::json to_json(const PrunedLogs& logs);
// Throws what nlohmann::json throws; Error(corrupt) when there is no last range without an end.
PrunedLogs pruned_from_json(ObjectType type, const std::string& name, const nlohmann::json& json);

}  // namespace lifeboat::vault
