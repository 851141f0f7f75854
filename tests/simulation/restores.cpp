#include "simulation/restores.hpp"

#include "base/error.hpp"
#include "simulation/habits.hpp"
#include "simulation/store.hpp"
#include "simulation/violation.hpp"
#include "vault/pins.hpp"

namespace lifeboat::vault::simulation {
namespace {

Millis up_to(Random& chance, Millis most) {
  return Millis(
      static_cast<std::int64_t>(chance.below(static_cast<std::uint64_t>(most.count()) + 1)));
}

bool is_there(const Vault& vault, const std::string& point) {
  try {
    read_point(vault, point);
    return true;
  } catch (const Error& error) {
    if (error.code() != Code::not_found) throw;
    return false;
  }
}

}  // namespace

void compare(const Model& model, const Vault& vault, const std::string& point,
             const std::string& snapshot) {
  Chunks chunks(vault, {.threads = 0, .seed = 0});
  SnapshotReader reader(chunks, snapshot);
  auto expected = model.expected(snapshot);
  reader.for_each([&](const Entry& entry) {
    std::string bytes;
    reader.read_file(entry, [&](std::string_view part) { bytes += part; });
    if (expected.at(entry.path) != bytes)
      throw Violation{"point " + point + " was restored with another " + entry.path};
    expected.erase(entry.path);
  });
  if (!expected.empty()) throw Violation{"point " + point + " was restored without files"};
}

bool RestoreLives::begin(const Vault& vault, Clock& clock, const std::string& host,
                         RestoreJournal& journal) const {
  if (!journal.pin.empty()) {
    // The operator comes when he comes.
    if (chance.below(4) == 0) scheduler.sleep(up_to(chance, 2 * pin_life));
    if (take_up(vault, clock, journal)) return true;
    journal = {};
  }
  return pin_one(vault, clock, host, journal);
}

bool RestoreLives::take_up(const Vault& vault, Clock& clock, RestoreJournal& journal) const {
  const auto kept = read_pin(vault, journal.pin);
  if (!kept || !kept->pin || !renew_pin(vault, journal.pin, 2, clock.now())) return false;
  if (goes_unseen) model.saw(journal.pin, scheduler.now());
  return journal.seen || goes_unseen || look(vault, clock, journal, kept->pin->point.id);
}

bool RestoreLives::look(const Vault& vault, Clock& clock, RestoreJournal& journal,
                        const std::string& point) const {
  if (!is_there(vault, point)) {
    release_pin(vault, journal.pin, clock.now());
    journal = {};
    return false;
  }
  model.saw(journal.pin, scheduler.now());
  journal.seen = true;
  return true;
}

bool RestoreLives::pin_one(const Vault& vault, Clock& clock, const std::string& host,
                           RestoreJournal& journal) const {
  const auto points = list_points(vault);
  if (points.empty()) return false;
  const auto& chosen = points[chance.below(points.size())];
  if (!chosen.point) return false;
  Pin pin{make_pin_id(clock, chance),
          *chosen.point,
          chance.below(2) == 0,
          clock.now(),
          host,
          "/state",
          1,
          "plan",
          {},
          "",
          {},
          0};
  journal.pin = pin.id;
  // He who thinks before he types yes.
  if (chance.below(4) == 0) scheduler.sleep(up_to(chance, 2 * kGrace));
  if (pins_late) {
    if (!is_there(vault, chosen.id)) return false;
    scheduler.sleep(up_to(chance, 2 * kGrace));
  }
  write_pin(vault, pin);
  if (goes_unseen && chance.below(2) == 0) throw Killed{};
  if (!pins_late) return look(vault, clock, journal, chosen.id);
  model.saw(pin.id, scheduler.now());
  return journal.seen = true;
}

void RestoreLives::read(const Vault& vault, Clock& clock, RestoreJournal& journal,
                        const std::function<void(const RecoveryPoint&)>& read_logs) const {
  const auto kept = read_pin(vault, journal.pin);
  if (!kept || !kept->pin) return;
  const auto point = kept->pin->point;
  try {
    const auto snapshots = snapshots_of(point);
    for (; journal.read < snapshots.size(); ++journal.read) {
      if (chance.below(2) == 0) scheduler.sleep(up_to(chance, 3 * kGrace));
      compare(model, vault, point.id, snapshot_name(vault, snapshots[journal.read]));
    }
    read_logs(point);
  } catch (const Error& error) {
    if (error.code() != Code::not_found || model.pins().counts(journal.pin)) throw;
    journal = {};  // it was revoked under it
    return;
  }
  release_pin(vault, journal.pin, clock.now());
  journal = {};
}

bool RestoreLives::beat(const Vault& vault, Clock& clock, const std::string& pin) const {
  const bool alive = renew_pin(vault, pin, 1, clock.now());
  if (alive == model.pins().is_living(pin)) return alive;
  throw Violation{"pin " + pin +
                  (alive ? " was revoked, and its restore is not told"
                         : " counts, and its restore is told that it does not")};
}

}  // namespace lifeboat::vault::simulation
