#include "vault/verify.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/output.hpp"
#include "cli/session.hpp"
#include "cli/verbs.hpp"
#include "recovery/inspect.hpp"
#include "vault/points.hpp"

namespace lifeboat::cli {
namespace {

struct VerifyOptions {
  std::string point;
  std::string level = "full";
};
vault::VerifyOptions what_to_verify(Session& session, const vault::Vault& vault,
                                    const VerifyOptions& options);
void print_result(const recovery::VerifyResult& result);
nlohmann::json result_json(const recovery::VerifyResult& result);
int status_of(recovery::Verdict verdict);

// Reads the vault, or what one point needs of it, and says whether it is whole.
int verify(const Globals& globals, const VerifyOptions& options) {
  Session session(globals);
  auto vault = recovery::open_vault(session.config());
  auto what = what_to_verify(session, vault.vault, options);
  auto result = recovery::verify_all(session.context(), vault.vault, what);
  if (globals.json) {
    print_document(result_json(result));
  } else {
    print_result(result);
  }
  return status_of(result.verdict);
}

vault::VerifyOptions what_to_verify(Session& session, const vault::Vault& vault,
                                    const VerifyOptions& options) {
  vault::VerifyOptions what;
  if (!options.point.empty()) what.point = vault::resolve_point(vault, options.point).id;
  what.level = options.level == "exists" ? vault::VerifyLevel::exists : vault::VerifyLevel::full;
  auto& reporter = session.context().reporter;
  what.progress = [&reporter](const vault::VerifyProgress& p) {
    reporter.progress(p.doing, p.bytes.value, 0, "bytes");
  };
  return what;
}

int status_of(recovery::Verdict verdict) {
  switch (verdict) {
    case recovery::Verdict::verified:
      return 0;
    case recovery::Verdict::failed:
      return exit_code(Code::corrupt);
    case recovery::Verdict::could_not_verify:
      return exit_code(Code::could_not_verify);
  }
  return exit_code(Code::could_not_verify);
}

void print_result(const recovery::VerifyResult& result) {
  const auto& report = result.report;
  for (const auto& damage : report.damages) {
    print_data(fmt::format("damaged {} {}: {}\n", damage.kind, damage.object, damage.problem));
    for (const auto& hit : damage.hits) print_data("  hits " + hit + "\n");
  }
  if (report.more_damages != 0) print_data(fmt::format("and {} more\n", report.more_damages));
  for (const auto& what : result.unchecked) print_data("not checked: " + what + "\n");
  print_data(fmt::format("{}: {} objects, {} points, {} read\n",
                         recovery::to_string(result.verdict), report.objects, report.points,
                         format_bytes(report.bytes)));
  if (result.verdict == recovery::Verdict::failed) {
    say("  next: `lifeboat verify --point P` says of each point whether it is whole; take a new "
        "one with `lifeboat backup`");
  }
}

nlohmann::json result_json(const recovery::VerifyResult& result) {
  auto damages = nlohmann::json::array();
  for (const auto& damage : result.report.damages) {
    damages.push_back({{"object", damage.object},
                       {"kind", damage.kind},
                       {"code", to_string(damage.code)},
                       {"problem", damage.problem},
                       {"hits", damage.hits}});
  }
  return {{"verdict", recovery::to_string(result.verdict)},
          {"objects", result.report.objects},
          {"points", result.report.points},
          {"bytes", result.report.bytes.value},
          {"damages", damages},
          {"more_damages", result.report.more_damages},
          {"unchecked", result.unchecked}};
}

}  // namespace

void add_verify(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<VerifyOptions>();
  auto* verb = app.add_subcommand("verify", "Is the vault whole?");
  verb->add_option("--point", options->point, "Only what this point needs");
  verb->add_option("--level", options->level,
                   "full: read every byte (the default); exists: every object that is named is "
                   "there")
      ->check(CLI::IsMember({"exists", "full"}));
  verb->footer("Exit status: 0 VERIFIED, 5 FAILED, 6 COULD NOT VERIFY.");
  verb->callback([&invocation, options] {
    invocation.choose([options](const Globals& g) { return verify(g, *options); });
  });
}

}  // namespace lifeboat::cli
