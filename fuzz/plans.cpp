#include "fuzz/targets.hpp"
#include "recovery/plan.hpp"

// A saved plan: what is taken is written as it was read.
namespace lifeboat::fuzz {
namespace {

recovery::Plan read(std::string_view text) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (json.is_discarded()) throw Error(Code::corrupt, "a plan", "is no JSON");
  return recovery::plan_from_json(json);
}

}  // namespace

void plans(std::string_view bytes) {
  const auto plan = read(bytes);
  recovery::describe(plan);
  const auto again = to_json(plan).dump();
  if (to_json(taken([&] { return read(again); })).dump() != again) {
    broken("a plan is not what was read");
  }
}

}  // namespace lifeboat::fuzz

LIFEBOAT_FUZZ_TARGET(plans)
