#include "simulation/store.hpp"

#include <fmt/format.h>

#include "base/checksum.hpp"
#include "base/error.hpp"
#include "vault/locks.hpp"

namespace lifeboat::vault::simulation {
namespace {

using store::ObjectInfo;
using store::Op;
using store::PutResult;

constexpr Millis kHour{3'600'000};

std::string outcome_of(const std::optional<std::string>& bytes) {
  return bytes ? fmt::format("{} bytes", bytes->size()) : "not there";
}
std::string outcome_of(PutResult result) {
  return result == PutResult::written  ? "written"
         : result == PutResult::exists ? "exists"
                                       : "changed";
}
std::string outcome_of(const std::optional<ObjectInfo>& info) {
  return info ? "version " + info->version : "not there";
}
std::string outcome_of(bool removed) {  // or locked
  return removed ? "done" : "not there";
}
std::string outcome_of(const std::optional<Timestamp>& lock) {
  return lock ? "locked until " + to_string(*lock) : "not locked";
}
std::string outcome_of(const std::vector<ObjectInfo>& found) {
  return fmt::format("{} objects", found.size());
}

}  // namespace

// Time passes, others may go on, and now and then a call takes very long.
void LifeStore::wait() {
  if (!ground_.scheduler.on_its_thread())
    throw Violation{who_ + " calls the store from a thread of its own: no seed would repeat that"};
  auto& chance = ground_.chance;
  ground_.scheduler.pass(
      Millis(chance.below(static_cast<std::uint64_t>(ground_.latency.count()) + 1)));
  if (ground_.stall_in > 0 && chance.below(ground_.stall_in) == 0) {
    auto most = static_cast<std::uint64_t>(ground_.longest_stall.count());
    return ground_.scheduler.sleep(Millis(chance.below(most + 1)));
  }
  ground_.scheduler.turn();
}

bool LifeStore::dies(Op op) {
  if (death_.of && *death_.of != op) return false;
  return dead_ = ++calls_ == death_.at;
}

template <typename Effect>
auto LifeStore::call(Op op, const std::string& name, Effect&& effect) -> decltype(effect()) {
  if (dead_) throw Killed{};
  wait();
  if (dead_) throw Killed{};
  bool last = dies(op);
  ++ground_.calls;
  auto& trace = ground_.trace;
  if (last) ++ground_.deaths[static_cast<std::size_t>(op)];
  if (last && !death_.takes_effect) {
    trace.add(ground_.scheduler.now(), who_, to_string(op), name, "killed before it");
    throw Killed{};
  }
  auto out = effect();
  trace.add(ground_.scheduler.now(), who_, to_string(op), name,
            outcome_of(out) + (last ? ", killed after it" : ""));
  if (last) throw Killed{};
  return out;
}

bool LifeStore::now_and_then(Mischief mischief, unsigned one_in) {
  return ground_.mischief == mischief && ground_.chance.below(one_in) == 0;
}

bool LifeStore::fresh(const std::string& name) {
  return ground_.scheduler.now() - ground_.written[name].when < kHour.count();
}

// As of now, where the request is made: it may be long on its way. Who prunes locks nothing.
LifeStore::Lock LifeStore::lock_of_write(const std::string& name, store::Write how) const {
  if (ground_.retain == Millis(0) || who_.starts_with("pruner")) return std::nullopt;
  const auto wanted = lock_rule(ground_.retain)(name, how);
  return wanted == Millis(0) ? std::nullopt : Lock(clock_.now() + wanted.count());
}

void LifeStore::write(const std::string& name, std::string_view bytes, Lock lock) {
  if (now_and_then(Mischief::loses_writes, 20)) return;
  if (ground_.mischief == Mischief::forgets_pruned_logs && name.starts_with("pruned/")) return;
  auto& written = ground_.written[name];
  if (ground_.mischief == Mischief::reads_stale) {
    written.before = ground_.objects.get(name).value_or("");
  }
  if (ground_.mischief == Mischief::hides_signs && written.first.empty()) written.first = bytes;
  if (written.who.empty()) written.who = who_;
  written.when = ground_.scheduler.now();
  if (!ground_.objects.stat(name)) written.since = written.when;
  ground_.objects.put(name, bytes);
  ground_.objects.set_lock(name, lock);
  ground_.model.written(name, bytes, ground_.scheduler.now(), who_);
}

std::optional<std::string> LifeStore::read(const std::string& name) {
  auto out = ground_.objects.get(name);
  if (out && fresh(name) && now_and_then(Mischief::reads_stale, 4)) {
    auto before = ground_.written[name].before;
    out = before.empty() ? std::nullopt : std::optional(before);
  }
  if (ground_.mischief == Mischief::hides_signs && name.starts_with("points/") &&
      who_.starts_with("pruner") && ground_.model.is_open(name.substr(7))) {
    out = out ? std::optional(ground_.written[name].first) : std::nullopt;
  }
  return out;
}

std::optional<std::string> LifeStore::get(const std::string& name) {
  return call(Op::get, name, [&] { return read(name); });
}

std::optional<std::string> LifeStore::get_range(const std::string& name, ByteCount offset,
                                                ByteCount length) {
  return call(Op::get_range, name, [&] { return ground_.objects.get_range(name, offset, length); });
}

void LifeStore::put(const std::string& name, std::string_view bytes) {
  call(Op::put, name, [&] {
    write(name, bytes, std::nullopt);
    return PutResult::written;
  });
}

PutResult LifeStore::put_if_absent(const std::string& name, std::string_view bytes) {
  const auto lock = lock_of_write(name, store::Write::create);
  return call(Op::put_if_absent, name, [&] {
    bool there = ground_.objects.stat(name).has_value();
    if (there && ground_.mischief != Mischief::overwrites) return PutResult::exists;
    write(name, bytes, lock);
    return PutResult::written;
  });
}

PutResult LifeStore::put_if_unchanged(const std::string& name, std::string_view bytes,
                                      const std::string& seen_version) {
  const auto lock = lock_of_write(name, store::Write::replace);
  return call(Op::put_if_unchanged, name, [&] {
    auto info = ground_.objects.stat(name);
    bool same = info && version_of(*info) == seen_version;
    if (!same && ground_.mischief != Mischief::swaps_blindly) return PutResult::changed;
    write(name, bytes, lock);
    return PutResult::written;
  });
}

bool LifeStore::remove(const std::string& name) {
  return call(Op::remove, name, [&] {
    if (!ground_.objects.stat(name)) return false;
    ground_.model.removes(name, ground_.scheduler.now(), who_);
    return ground_.objects.remove(name);
  });
}

std::optional<ObjectInfo> LifeStore::stat(const std::string& name) {
  return call(Op::stat, name, [&] {
    auto info = ground_.objects.stat(name);
    if (info) info->version = version_of(*info);
    return info;
  });
}

std::optional<Timestamp> LifeStore::locked_until(const std::string& name) {
  if (ground_.retain == Millis(0)) return std::nullopt;
  return call(Op::stat, name, [&] {
    const auto until = ground_.objects.lock_of(name);
    const bool told = ground_.mischief != Mischief::ignores_locks || !who_.starts_with("pruner");
    return told && until > clock_.now() ? std::optional(until) : std::nullopt;
  });
}

bool LifeStore::lock_until(const std::string& name, Timestamp until) {
  if (ground_.retain == Millis(0)) return ObjectStore::lock_until(name, until);
  return call(Op::lock, name, [&] {
    if (now_and_then(Mischief::loses_locks, 4)) return true;
    return ground_.objects.extend_lock(name, until);
  });
}

std::string LifeStore::version_of(const ObjectInfo& info) {
  if (!ground_.etags) return info.version;
  return sha256(ground_.objects.get(info.name).value()).hex().substr(0, 16);
}

// A listing takes time: what comes and goes meanwhile is in it or not, each by chance. What was
// there before and stays is in it.
void LifeStore::list(const std::string& prefix,
                     const std::function<void(const ObjectInfo&)>& visit) {
  if (ground_.mischief == Mischief::looks_at_pins_first && prefix == "points/") {
    saw_pins_ = ground_.scheduler.now();
    ground_.scheduler.sleep(kHour);
  }
  auto found = call(Op::list, prefix, [&] { return listed(prefix); });
  if (!found.empty() && ground_.chance.below(3) == 0) {
    wait();
    found = mixed(std::move(found), listed(prefix));
  }
  for (const auto& info : found) visit(info);
}

std::vector<ObjectInfo> LifeStore::mixed(std::vector<ObjectInfo> before,
                                         std::vector<ObjectInfo> after) {
  std::map<std::string, std::vector<ObjectInfo>> all;
  for (auto& info : before) all[info.name].push_back(std::move(info));
  for (auto& info : after) all[info.name].push_back(std::move(info));
  std::vector<ObjectInfo> out;
  for (auto& [_, seen] : all) {
    auto which = ground_.chance.below(2);  // 1, of one that was seen once: it is not told
    if (which < seen.size()) out.push_back(std::move(seen[which]));
  }
  return out;
}

std::vector<ObjectInfo> LifeStore::listed(const std::string& prefix) {
  std::vector<ObjectInfo> out;
  ground_.objects.list(prefix, [&](const ObjectInfo& info) {
    if (hidden(info)) return;
    out.push_back(info);
    out.back().version = version_of(info);
  });
  return out;
}

bool LifeStore::hidden(const ObjectInfo& info) {
  const auto& name = info.name;
  const bool is_pin_of_pruner = name.starts_with("pins/") && who_.starts_with("pruner");
  switch (ground_.mischief) {
    case Mischief::hides_fresh:
      return fresh(name);
    case Mischief::lists_incompletely:
      return ground_.chance.below(20) == 0;
    case Mischief::hides_words:
      return name.starts_with("prune/") && who_.starts_with("writer");
    case Mischief::hides_others_words:
      return name.starts_with("prune/") && who_.starts_with("pruner") &&
             ground_.written[name].who != who_;
    case Mischief::forgets_open_points:
      return name.starts_with("points/") && who_.starts_with("pruner") &&
             !ground_.model.is_live(name.substr(7));
    case Mischief::ignores_pins:
      return is_pin_of_pruner;
    case Mischief::looks_at_pins_first:
      return is_pin_of_pruner && ground_.written[name].since > saw_pins_;
    case Mischief::forgets_old_pins:
      return is_pin_of_pruner &&
             ground_.scheduler.now() - ground_.written[name].when > ground_.pin_life.count();
    default:
      return false;
  }
}

bool LateStore::late() {
  return late_in_ > 0 && ground_.chance.below(late_in_) == 0;
}

void LateStore::send(const std::string& name,
                     std::function<void(store::ObjectStore&)> write) const {
  auto delay = Millis(static_cast<std::int64_t>(
      ground_.chance.below(static_cast<std::uint64_t>(ground_.latest.count()))));
  ground_.scheduler.spawn(
      [&ground = ground_, who = who_ + " late", delay, sent = clock_.now(), write] {
        ground.scheduler.sleep(delay);
        const ManualClock clock(sent);
        LifeStore network(ground, who, clock);
        write(network);
      });
  throw Error(Code::timeout, "object " + name, "no answer in time", "this is a test");
}

void LateStore::put(const std::string& name, std::string_view bytes) {
  if (!late()) return inner().put(name, bytes);
  send(name, [name, bytes = std::string(bytes)](auto& store) { store.put(name, bytes); });
}

PutResult LateStore::put_if_absent(const std::string& name, std::string_view bytes) {
  if (!late()) return inner().put_if_absent(name, bytes);
  send(name, [name, bytes = std::string(bytes)](auto& store) { store.put_if_absent(name, bytes); });
}

PutResult LateStore::put_if_unchanged(const std::string& name, std::string_view bytes,
                                      const std::string& seen_version) {
  if (!late()) return inner().put_if_unchanged(name, bytes, seen_version);
  send(name, [name, bytes = std::string(bytes), seen_version](auto& store) {
    store.put_if_unchanged(name, bytes, seen_version);
  });
}

bool LateStore::remove(const std::string& name) {
  if (!late()) return inner().remove(name);
  send(name, [name](auto& store) { store.remove(name); });
}

PutResult Witness::put_if_unchanged(const std::string& name, std::string_view bytes,
                                    const std::string& seen_version) {
  auto out = inner().put_if_unchanged(name, bytes, seen_version);
  if (out == PutResult::written) ground_.model.won(name, seen_version, bytes, who_);
  return out;
}

}  // namespace lifeboat::vault::simulation
