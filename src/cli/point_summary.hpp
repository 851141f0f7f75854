#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "vault/points.hpp"

namespace lifeboat::cli {

// A point in few words, for `points` and the end of `backup`.
struct PointSummary {
  std::vector<std::string> stores;
  std::optional<bool> exact;  // nullopt: the point has no cut
  std::optional<double> held_seconds;
};
PointSummary summarize(const vault::RecoveryPoint& point);

// id, created, finished, label, stores, exact, held_seconds.
nlohmann::json summary_json(const vault::RecoveryPoint& point);

// Of proof_json(): "data 2 d ago, existence 3 h ago", "FAILED 1 h ago (data)", "never".
std::string format_proof(const nlohmann::json& proof, Timestamp now);

// Of pin_json(): "point … is being restored by …".
std::string format_pin(const nlohmann::json& pin);

}  // namespace lifeboat::cli
