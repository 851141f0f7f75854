#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "vault/object.hpp"
#include "vault/ranges.hpp"

// The bytes of `pruned/<id>`; docs/format.md. What is done with them: pruned_logs.hpp.
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
std::string pruned_name(const std::string& id);  // pruned/<id>
std::string encode_pruned(const std::string& id, const PrunedLogs& logs);
// What stands under the name. Error(corrupt), Error(unsupported).
PrunedLogs open_pruned(const Sealing* sealing, const std::string& name, std::string object);

// The ranges as JSON, in words and in these objects: [[from, to], …, [from]].
nlohmann::json to_json(const PrunedLogs& logs);
// Throws what nlohmann::json throws; Error(corrupt) when there is no last range without an end.
PrunedLogs pruned_from_json(ObjectType type, const std::string& name, const nlohmann::json& json);

}  // namespace lifeboat::vault
