#include "cli/apply_plan.hpp"

#include <fmt/format.h>

#include "base/error.hpp"
#include "cli/output.hpp"
#include "recovery/apply.hpp"

namespace lifeboat::cli {
namespace {

void tell_steps(const recovery::ApplyResult& result, double seconds);

}  // namespace

int apply_and_tell(const Globals& globals, Session& session, const vault::Vault& vault,
                   const recovery::Plan& plan, Millis wait) {
  auto result = recovery::apply(session.context(), vault, plan, wait);
  if (!globals.json) {
    tell_steps(result, session.seconds());
    return 0;
  }
  auto steps = nlohmann::json::array();
  for (const auto& step : result.steps) {
    steps.push_back({{"name", step.name}, {"seconds", step.seconds}, {"skipped", step.skipped}});
  }
  print_event({{"event", "done"},
               {"plan", plan.id},
               {"point", plan.point},
               {"steps", steps},
               {"notes", result.notes},
               {"seconds", session.seconds()},
               {"peak_rss_mib", peak_rss_mib()}});
  return 0;
}

int tell_dry_run(const Globals& globals, const recovery::Plan& plan) {
  if (globals.json) {
    print_event({{"event", "done"},
                 {"dry_run", true},
                 {"plan", recovery::to_json(plan)},
                 {"peak_rss_mib", peak_rss_mib()}});
  } else {
    print_data(recovery::describe(plan));
    say("a dry run: nothing was done");
  }
  return 0;
}

Millis parse_wait(const std::string& text) {
  auto wait = recovery::parse_duration(text);
  if (wait) return *wait;
  throw Error(Code::usage, "--wait", "'" + text + "' is no time", "write it as 30s, 10m or 2h");
}

namespace {

void tell_steps(const recovery::ApplyResult& result, double seconds) {
  Table table({"STEP", "TIME"});
  for (const auto& step : result.steps) {
    table.row({step.name, step.skipped ? "done before" : format_seconds(step.seconds)});
  }
  print_data(table.text());
  for (const auto& note : result.notes) say("note: " + note);
  say("restored in " + format_seconds(seconds));
}

}  // namespace

}  // namespace lifeboat::cli
