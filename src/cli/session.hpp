#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "base/cancel.hpp"
#include "base/clock.hpp"
#include "base/random.hpp"
#include "cli/reporters.hpp"
#include "cli/signals.hpp"
#include "cli/verbs.hpp"
#include "recovery/config.hpp"
#include "recovery/context.hpp"

namespace lifeboat::cli {

// --config, else ./lifeboat.yaml, else $LIFEBOAT_CONFIG, else /etc/lifeboat/lifeboat.yaml: the
// first that exists. None: where `init` would write one ($LIFEBOAT_CONFIG, else ./lifeboat.yaml).
std::filesystem::path find_config_file(const Globals& globals);

// What a verb works with: lifeboat.yaml, and everything that recovery's Context refers to. Signals
// are watched while it lives. Error(config) from load_config().
class Session {
 public:
  explicit Session(const Globals& globals, Form form = Form::document);
  Session(const Globals& globals, Telling telling);

  const recovery::Config& config() const { return config_; }
  recovery::Context context() { return {config_, clock(), random_, cancel_, *reporter_}; }
  Clock& clock() const { return Clock::real(); }
  Random& random() { return random_; }
  const Cancel& cancel() const { return cancel_; }
  // Since the session began.
  double seconds() const;

 private:
  recovery::Config config_;
  std::chrono::steady_clock::time_point begun_;
  Random random_;
  Cancel cancel_;
  SignalWatch signals_;
  std::unique_ptr<recovery::Reporter> reporter_;
};

// Asks on the terminal; true for "yes". Without a terminal (or with --json): Error(refused) that
// names `flag` as what to give instead.
bool confirmed(const Globals& globals, const std::string& question, const std::string& flag);

}  // namespace lifeboat::cli
