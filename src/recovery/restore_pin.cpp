#include "recovery/restore_pin.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <utility>

#include "base/error.hpp"
#include "base/host.hpp"
#include "recovery/restore_session.hpp"

namespace lifeboat::recovery {
namespace {

constexpr const char* kJournaled = "pin";
constexpr const char* kSeen = "pin_seen";  // the same id, once its point was seen after it

bool may_not_write(const Error& error) {
  return error.code() == Code::denied || error.code() == Code::refused;
}

// A pin counts so long after its last sign of life, if prune's lifeboat.yaml says what this one
// does.
Millis pin_life(const Config& config) {
  const auto retention = config.retention.value_or(RetentionConfig{});
  return std::max(retention.grace, retention.keep_for_resume);
}

double grace_hours(const Config& config) {
  const auto grace = config.retention.value_or(RetentionConfig{}).grace;
  return static_cast<double>(grace.count()) / 3'600'000;
}

// What prune does now is not seen there, and nothing can be written.
bool reads_the_past(const Config& config) {
  return config.vault.s3 && config.vault.s3->as_of;
}

}  // namespace

RestorePin::RestorePin(const Context& c, const vault::Vault& vault, const Plan& plan,
                       Journal& journal)
    : c_(c), vault_(vault), plan_(plan) {
  const auto kept = journal.data().value(kJournaled, std::string());
  if (kept.empty() || !take_up(kept)) begin(journal);
  if (written_) see_point(journal);
  if (written_ || !reads_the_past(c_.config)) {
    alive_.emplace(c_.config, "the restore of point " + pin_.point.id, [this] { return beat(); });
  }
}

RestorePin::~RestorePin() {
  alive_.reset();
  if (released_ || !written_) return;
  c_.reporter.note(fmt::format(
      "this restore is not finished: prune keeps point {} for it until {}. --resume goes on with "
      "it; `lifeboat prune --unpin {}` gives it up",
      pin_.point.id, to_string(pin_.alive_at() + pin_life(c_.config).count()), pin_.point.id));
}

void RestorePin::release() {
  alive_.reset();
  released_ = true;
  if (!written_) return;
  try {
    vault::release_pin(vault_, pin_.id, c_.clock.now());
  } catch (const Error& error) {
    c_.reporter.note(fmt::format(
        "point {} stays pinned, as if it were being restored: {}. `lifeboat prune --unpin {}` ends "
        "that, or its time",
        pin_.point.id, error.what(), pin_.point.id));
  }
}

// False: that pin counts no more.
bool RestorePin::take_up(const std::string& id) {
  auto kept = vault::read_pin(vault_, id);
  if (!kept || !kept->pin || kept->pin->point.id != plan_.point) {
    lost_ = "the pin of this restore is gone: prune took it for dead, or it never was written";
    return false;
  }
  if (!kept->pin->revoked) {
    pin_ = *kept->pin;
    try {
      written_ = renew();
    } catch (const Error& error) {
      if (error.code() == Code::cancelled) throw;
      written_ = true;  // it is there, and may be renewed later
      tell_silent(error);
    }
    if (written_) return true;
    kept = vault::read_pin(vault_, id);
  }
  lost_ = kept && kept->pin ? "point " + plan_.point + " " + vault::describe(*kept->pin)
                            : "the pin of this restore is gone: prune took it for dead";
  return false;
}

void RestorePin::begin(Journal& journal) {
  look(lost_);
  pin_.id = vault::make_pin_id(c_.clock, c_.random);
  pin_.follows = follows_logs(plan_);
  pin_.created = c_.clock.now();
  pin_.host = host_name();
  pin_.folder = c_.config.state.string();
  pin_.process = ::getpid();
  pin_.plan = plan_.id;
  journal.data()[kJournaled] = pin_.id;
  journal.save();
  write();
}

// First the pin, then the look at the point: also when the one who wrote it was killed in between.
void RestorePin::see_point(Journal& journal) {
  if (journal.data().value(kSeen, std::string()) == pin_.id) return;
  try {
    look("prune dropped it just now");
  } catch (const Error& error) {
    if (error.code() == Code::not_found) release();
    throw;
  }
  journal.data()[kSeen] = pin_.id;
  journal.save();
  if (!lost_.empty()) c_.reporter.note(lost_ + ". The point is still there, and pinned anew");
}

void RestorePin::look(const std::string& why_gone) {
  try {
    pin_.point = vault::read_point(vault_, plan_.point);
  } catch (const Error& error) {
    if (error.code() != Code::not_found) throw;
    throw Error(Code::not_found, error.subject(),
                error.message() + (why_gone.empty() ? "" : ": " + why_gone),
                fmt::format("restore another point (`lifeboat points`; what was written of this "
                            "one: --overwrite). Remove {} to give this restore up",
                            plan_path(c_.config, plan_.id).string()));
  }
}

void RestorePin::write() {
  if (reads_the_past(c_.config)) return;
  try {
    vault::write_pin(vault_, pin_);
    written_ = true;
  } catch (const Error& error) {
    if (error.code() == Code::cancelled) throw;
    tell_unpinned(error);
  }
}

void RestorePin::tell_unpinned(const Error& error) const {
  c_.reporter.note(fmt::format(
      "WARNING: point {} could not be pinned, so prune does not know of this restore and may drop "
      "the point under it. When it does, all can be read for its grace period still ({:.3g} h by "
      "this lifeboat.yaml), and is deleted then: let no prune run until the restore has ended, if "
      "it may take longer. Why: {}{}",
      pin_.point.id, grace_hours(c_.config), error.what(),
      may_not_write(error) ? "; who restores needs to write below pins/: given that meanwhile, it "
                             "pins the point then"
                           : ""));
}

// Once, until a sign can be given again.
void RestorePin::tell_silent(const Error& error) {
  if (std::exchange(silent_, true)) return;
  c_.reporter.note(fmt::format(
      "WARNING: this restore cannot tell the vault that it goes on, and after {} prune takes it "
      "for dead and may drop point {} under it. What it needs is deleted a grace period later "
      "({:.3g} h; both by this lifeboat.yaml). {}; it is tried again and again. Else let no prune "
      "run from then on until the restore has ended. Why: {}",
      to_string(pin_.alive_at() + pin_life(c_.config).count()), pin_.point.id,
      grace_hours(c_.config),
      may_not_write(error) ? "Give these credentials the right to write below pins/ again"
                           : "See to it that the vault can be written",
      error.what()));
}

// False: the pin was revoked, or is gone.
bool RestorePin::renew() {
  const auto now = c_.clock.now();
  if (!vault::renew_pin(vault_, pin_.id, ::getpid(), now)) return false;
  pin_.renewed = now;
  return true;
}

// False: nothing is left to be done. Who may not write tries on: the right may come, and a pin that
// was revoked meanwhile is seen by reading it.
bool RestorePin::beat() {
  try {
    if (!written_) pin_late();
    if (renew()) {
      if (std::exchange(silent_, false)) {
        c_.reporter.note("prune knows again that point " + pin_.point.id + " is being restored");
      }
      return true;
    }
  } catch (const Error& error) {
    if (!may_not_write(error)) throw;
    if (written_) tell_silent(error);
    return true;
  }
  auto now = vault::read_pin(vault_, pin_.id);
  c_.reporter.note(fmt::format(
      "WARNING: point {} is not kept for this restore any more: {}. What it needs can be read for "
      "the grace period",
      pin_.point.id, now && now->pin ? vault::describe(*now->pin) : "its pin was removed"));
  written_ = false;
  return false;
}

// The store did not take it at first.
void RestorePin::pin_late() {
  vault::write_pin(vault_, pin_);
  written_ = true;
  const bool there = vault_.store().stat(vault::point_name(pin_.point.id)).has_value();
  c_.reporter.note("point " + pin_.point.id +
                   (there ? " is pinned now" : " was dropped by prune before it was pinned"));
}

nlohmann::json pin_json(const vault::Pin& pin) {
  return {{"id", pin.id},
          {"point", pin.point.id},
          {"host", pin.host},
          {"process", pin.process},
          {"since", to_string(pin.created)},
          {"last_sign_of_life", to_string(pin.alive_at())},
          {"what", vault::describe(pin)}};
}

nlohmann::json pins_json(const vault::Vault& vault) {
  auto out = nlohmann::json::array();
  for (const auto& listed : vault::list_pins(vault)) {
    if (!listed.pin) out.push_back({{"id", listed.id}, {"problem", listed.problem}});
    if (listed.pin && !listed.pin->revoked) out.push_back(pin_json(*listed.pin));
  }
  return out;
}

}  // namespace lifeboat::recovery
