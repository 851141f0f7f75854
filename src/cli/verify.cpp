#include "vault/verify.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <memory>

#include "cli/output.hpp"
#include "cli/session.hpp"
#include "cli/verbs.hpp"
#include "recovery/verify.hpp"
#include "vault/points.hpp"

namespace lifeboat::cli {
namespace {

struct VerifyOptions {
  std::string point;
  bool data = false;
  std::string sample;
  std::string seed;
};
recovery::VerifyRequest request_of(const VerifyOptions& options);
void print_result(const recovery::VerifyRequest& request, const recovery::VerifyResult& result);
nlohmann::json result_json(const recovery::VerifyRequest& request,
                           const recovery::VerifyResult& result);
int status_of(vault::Verdict verdict);

// Looks whether the vault, or what one point needs of it, is whole, and keeps what it found there.
int verify(const Globals& globals, const VerifyOptions& options) {
  auto request = request_of(options);
  Session session(globals);
  auto vault = recovery::open_vault(session.config());
  if (request.point) request.point = vault::resolve_point(vault.vault, *request.point).id;
  auto result = recovery::verify_all(session.context(), vault.vault, request);
  if (globals.json) {
    print_document(result_json(request, result));
  } else {
    print_result(request, result);
  }
  return status_of(result.verdict);
}

std::uint64_t parse_seed(const std::string& text) {
  std::uint64_t seed = 0;
  const char* end = text.data() + text.size();
  auto parsed = std::from_chars(text.data(), end, seed);
  if (parsed.ec == std::errc() && parsed.ptr == end) return seed;
  throw Error(Code::usage, "--seed " + text, "is not a number that a sample can begin with",
              "give the one that an earlier run printed");
}

// The point is still as it was typed.
recovery::VerifyRequest request_of(const VerifyOptions& options) {
  recovery::VerifyRequest request;
  if (options.data) request.depth = vault::Depth::data;
  if (!options.sample.empty()) {
    auto share = vault::parse_share(options.sample);
    if (!share) {
      throw Error(Code::usage, "--sample " + options.sample, "is not a share of the data",
                  "write it like --sample 5%");
    }
    request.depth = vault::Depth::sample;
    request.share = *share;
  }
  if (!options.seed.empty()) request.seed = parse_seed(options.seed);
  if (!options.point.empty()) request.point = options.point;
  return request;
}

int status_of(vault::Verdict verdict) {
  switch (verdict) {
    case vault::Verdict::verified:
      return 0;
    case vault::Verdict::failed:
      return exit_code(Code::corrupt);
    case vault::Verdict::could_not_verify:
      return exit_code(Code::could_not_verify);
  }
  return exit_code(Code::could_not_verify);
}

double percent_read(const vault::VerifyReport& report) {
  if (report.total.value == 0) return 100;
  return std::min(100.0, 100 * static_cast<double>(report.bytes.value) /
                             static_cast<double>(report.total.value));
}

std::string what_was_read(const recovery::VerifyRequest& request,
                          const recovery::VerifyResult& result) {
  const auto& report = result.report;
  if (request.depth == vault::Depth::existence) return "no data read (--data, --sample 5%)";
  auto out = fmt::format("{} of {} read ({:.4g} %)", format_bytes(report.bytes),
                         format_bytes(report.total), percent_read(report));
  if (result.seed) out += fmt::format(", seed {}", *result.seed);
  return out;
}

void print_result(const recovery::VerifyRequest& request, const recovery::VerifyResult& result) {
  const auto& report = result.report;
  for (const auto& damage : report.damages) {
    print_data(fmt::format("damaged {} {}: {}\n", damage.kind, damage.object, damage.problem));
    for (const auto& hit : damage.hits) print_data("  hits " + hit + "\n");
    if (!damage.points.empty()) {
      print_data(fmt::format("  costs points {}\n", fmt::join(damage.points, ", ")));
    }
    if (!damage.unknown.empty()) {
      print_data(fmt::format("  may cost points {}\n", fmt::join(damage.unknown, ", ")));
    }
    if (!damage.hint.empty()) print_data("  next: " + damage.hint + "\n");
  }
  if (report.more_damages != 0) print_data(fmt::format("and {} more\n", report.more_damages));
  for (const auto& what : result.unchecked) print_data("not checked: " + what + "\n");
  print_data(fmt::format("{}: {} objects, {} points, {}\n", to_string(result.verdict),
                         report.objects, report.points, what_was_read(request, result)));
  if (!result.not_kept.empty()) {
    say("this is not kept in the vault, and `lifeboat points` won't show it: " + result.not_kept);
  }
}

nlohmann::json result_json(const recovery::VerifyRequest& request,
                           const recovery::VerifyResult& result) {
  const auto& report = result.report;
  auto damages = nlohmann::json::array();
  for (const auto& damage : report.damages) {
    damages.push_back({{"object", damage.object},
                       {"kind", damage.kind},
                       {"code", to_string(damage.code)},
                       {"problem", damage.problem},
                       {"hits", damage.hits},
                       {"points", damage.points},
                       {"unknown", damage.unknown},
                       {"next", damage.hint}});
  }
  auto points = nlohmann::json::array();
  for (const auto& one : report.results) {
    points.push_back({{"id", one.id}, {"verdict", to_string(one.verdict)}, {"what", one.what}});
  }
  nlohmann::json out = {{"verdict", to_string(result.verdict)},
                        {"depth", to_string(request.depth)},
                        {"objects", report.objects},
                        {"points", report.points},
                        {"bytes", report.bytes.value},
                        {"content_bytes", report.content.value},
                        {"total_bytes", report.total.value},
                        {"damages", damages},
                        {"more_damages", report.more_damages},
                        {"unchecked", result.unchecked},
                        {"results", points},
                        {"kept", result.kept}};
  if (result.seed) out["seed"] = *result.seed;
  if (!result.not_kept.empty()) out["not_kept"] = result.not_kept;
  return out;
}

}  // namespace

void add_verify(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<VerifyOptions>();
  auto* verb = app.add_subcommand("verify", "Is all there that the points need? Is it whole?");
  verb->add_option("--point", options->point, "Only what this point needs");
  auto* data = verb->add_flag("--data", options->data, "Read and check every byte");
  auto* sample =
      verb->add_option("--sample", options->sample,
                       "Read and check a part, such as 5%; the next sample reads on from "
                       "where this one ends, so that in the end all was read");
  data->excludes(sample);
  verb->add_option(
          "--seed", options->seed,
          "Of a sample: begin anew, in this order of things (a number; each run prints its "
          "own)")
      ->needs(sample);
  verb->footer("Exit status: 0 VERIFIED, 5 FAILED, 6 COULD NOT VERIFY.");
  verb->callback([&invocation, options] {
    invocation.choose([options](const Globals& g) { return verify(g, *options); });
  });
}

}  // namespace lifeboat::cli
