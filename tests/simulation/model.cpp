#include "simulation/model.hpp"

#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "vault/object.hpp"
#include "vault/pack_format.hpp"

namespace lifeboat::vault::simulation {
namespace {

std::string rest_of(const std::string& name, std::string_view prefix) {
  return name.substr(prefix.size());
}

constexpr Timestamp kLastTime{std::numeric_limits<std::int64_t>::max()};
constexpr std::array kStates = {"open", "whole", "revoked", "removed"};  // of a point

}  // namespace

nlohmann::json Model::payload_of(ObjectType type, const std::string& name,
                                 std::string_view bytes) const {
  std::string object(bytes);
  return nlohmann::json::parse(unseal(vault_->sealing(), type, name, object).payload);
}

void Model::expect(const std::string& snapshot, Files files) {
  expected_[snapshot] = std::move(files);
}

void Model::written(const std::string& name, std::string_view bytes, Timestamp now,
                    const std::string& who) {
  if (name.starts_with("packs/")) written_pack(name, bytes);
  if (name.starts_with("logbook/")) logbook_.written(*vault_, name, bytes);
  if (name.starts_with(kPrunedPrefix)) pruned_logs(name, bytes);
  if (name.starts_with("pins/")) written_pin(rest_of(name, "pins/"), bytes, now);
  if (name.starts_with("points/")) written_point(rest_of(name, "points/"), bytes, now);
  if (name.starts_with("proofs/"))
    proofs_.written(*vault_, rest_of(name, "proofs/"), std::string(bytes), live());
  if (name.starts_with("prune/")) written_word(rest_of(name, "prune/"), bytes, who);
}

void Model::removes(const std::string& name, Timestamp now, const std::string& who) {
  std::erase_if(winners_, [&](const auto& one) { return one.first.first == name; });
  if (name.starts_with("packs/") || name.starts_with("snapshots/")) {
    check_word_allows(name, now);
    removes_locked(name, now);
  }
  if (name.starts_with("packs/")) removes_pack(name);
  if (name.starts_with("snapshots/")) removes_snapshot(name);
  if (name.starts_with("logbook/")) logbook_.removes(name, all_log_needs());
  if (name.starts_with(kPrunedPrefix)) logbook_.removes_pruned(name);
  if (name.starts_with("proofs/")) proofs_.removes(rest_of(name, "proofs/"));
  if (const auto id = name.starts_with("pins/") ? rest_of(name, "pins/") : "";
      !id.empty() && pins_.removes(id)) {
    let_go(pins_.all().at(id).point);
  }
  if (name.starts_with("prune/")) words_[rest_of(name, "prune/")].decided = false;
  if (name.starts_with("points/")) {
    if (is_live(rest_of(name, "points/"))) removes_locked(name, now);
    removes_point(rest_of(name, "points/"), who);
  }
}

// A name is drawn once, but a write that is repeated may arrive when its object is gone already.
void Model::written_pack(const std::string& name, std::string_view bytes) {
  auto [it, is_new] = packs_.try_emplace(name);
  if (!is_new) throw Violation{name + " was written over"};
  for (const auto& chunk : open_pack(vault_->sealing(), name, bytes).chunks) {
    it->second.push_back(chunk.digest);
    ++holders_[chunk.digest];
  }
}

void Model::removes_pack(const std::string& name) {
  auto pack = packs_.find(name);
  if (pack == packs_.end()) return;
  for (const auto& digest : pack->second) {
    if (--holders_[digest] > 0 || needed_[digest] == 0) continue;
    throw Violation{fmt::format("{} is deleted, and no other pack has chunk {} of it, which {}",
                                name, digest.hex().substr(0, 12), who_needs(digest))};
  }
  packs_.erase(pack);
  ++deleted_;
}

std::string Model::who_needs(const Digest& digest) const {
  for (const auto& [id, point] : points_) {
    if (point.state != Point::State::whole) continue;
    if (std::find(point.needs.begin(), point.needs.end(), digest) != point.needs.end())
      return "point " + id + " needs";
  }
  for (const auto& [id, pin] : pins_.all()) {
    const auto& needs = points_.at(pin.point).needs;
    if (pin.counts() && std::find(needs.begin(), needs.end(), digest) != needs.end())
      return "pin " + id + " of point " + pin.point + " needs";
  }
  return "nobody needs";
}

// What a pin keeps is needed as what a point needs.
void Model::saw(const std::string& id, Timestamp now) {
  if (!pins_.saw(id, now)) return;
  auto& pin = pins_.all().at(id);
  const auto& point = points_.at(pin.point);
  for (const auto& digest : point.needs) ++needed_[digest];
  pin.follows = pin.follows && logbook_.has_all_from(point.logs);
}

void Model::let_go(const std::string& point) {
  for (const auto& digest : points_.at(point).needs) --needed_[digest];
}

void Model::written_pin(const std::string& id, std::string_view bytes, Timestamp now) {
  if (pins_.written(*vault_, id, std::string(bytes), now)) let_go(pins_.all().at(id).point);
}

// What follows a pinned point stays, but for him who had looked before it was pinned.
void Model::pruned_logs(const std::string& name, std::string_view bytes) {
  auto needs = all_log_needs();
  const auto word = words_.find(rest_of(name, kPrunedPrefix));
  for (auto& one : log_needs_of_pins(word == words_.end() ? Timestamp(0) : word->second.looked))
    needs.push_back(std::move(one));
  logbook_.pruned(*vault_, name, std::string(bytes), needs);
  for (auto& [_, pin] : pins_.all())
    pin.follows = pin.follows && logbook_.has_all_from(points_.at(pin.point).logs);
}

std::vector<LogNeeds> Model::log_needs_of_pins(Timestamp looked) const {
  std::vector<LogNeeds> out;
  for (const auto& [_, pin] : pins_.all()) {
    if (!pin.counts()) continue;
    auto needs = log_needs(pin.point, points_.at(pin.point));
    needs.in_window = pin.follows && pin.seen < looked;
    needs.locked = Timestamp(0);
    out.push_back(std::move(needs));
  }
  return out;
}

// What arrives late was sent nobody knows when.
Timestamp Model::pruning_since(const std::string& who) const {
  const auto it = pruning_since_.find(who);
  return it == pruning_since_.end() ? Timestamp(0) : it->second;
}

// States only go forward: open, then whole or revoked.
void Model::written_point(const std::string& id, std::string_view bytes, Timestamp now) {
  auto json = payload_of(ObjectType::point, point_name(id), bytes);
  auto state = Point::State::whole;
  if (json.contains("state")) {
    state = json.at("state") == "open" ? Point::State::open : Point::State::revoked;
  }
  auto [it, is_new] = points_.try_emplace(id);
  auto& point = it->second;
  if (is_new) point.left_before = logbook_.left();
  bool was_open = !is_new && point.state == Point::State::open;
  bool was_gone = is_new || point.state == Point::State::gone;
  if (!was_open && !(was_gone && state == Point::State::open)) {
    throw Violation{fmt::format("point {} was {} and is written as {}", id,
                                is_new ? "not there" : kStates[static_cast<int>(point.state)],
                                kStates[static_cast<int>(state)])};
  }
  // What is swapped in tells of the signs that its writer has seen, and that may be too few.
  if (state == Point::State::open) {
    point.sign = std::max(json.at("created").get<std::string>(), json.value("renewed", point.sign));
  }
  if (state == Point::State::revoked) check_is_dead(id, point, json, now);
  if (state == Point::State::whole) publish(id, point);
  point.state = state;
}

// Whoever gives signs of life is waited for.
void Model::check_is_dead(const std::string& id, const Point& point, const nlohmann::json& written,
                          Timestamp now) const {
  if (written.at("why") == "it was withdrawn by its backup") return;
  if (const auto silent = now - *parse_timestamp(point.sign); silent < least_wait().count()) {
    throw Violation{
        fmt::format("point {} is revoked {} s after its last sign of life", id, silent / 1000)};
  }
}

void Model::publish(const std::string& id, Point& point) {
  const auto whole = read_point(*vault_, id);
  try {
    read_back(point, whole);
  } catch (const Error& error) {
    throw Violation{
        fmt::format("point {} was published and can't be restored: {}", whole.id, error.what())};
  }
  for (const auto& digest : point.needs) ++needed_[digest];
  point.told = {whole.id, whole.created, whole.label};
  point.logs = logs_of(whole);
  logbook_.check(log_needs(id, point));
  check_locks(id, point);
  ++published_;
}

// What a point needs is locked as long as the point.
void Model::check_locks(const std::string& id, const Point& point) {
  const auto until = objects_.lock_of(point_name(id));
  if (until == Timestamp(0)) return;
  auto expect = [&](const std::string& name) {
    if (objects_.lock_of(name) >= until) return;
    throw Violation{fmt::format("point {} is locked until {}, and {} that it needs until {}", id,
                                to_string(until), name, to_string(objects_.lock_of(name)))};
  };
  for (const auto& root : point.roots) expect(root);
  expect("vault");
  objects_.list("keys/", [&](const store::ObjectInfo& key) { expect(key.name); });
  std::set<Digest> locked;
  for (const auto& [name, chunks] : packs_) {
    if (objects_.lock_of(name) >= until) locked.insert(chunks.begin(), chunks.end());
  }
  for (const auto& digest : point.needs) {
    if (locked.contains(digest)) continue;
    throw Violation{fmt::format("point {} is locked until {}, and no pack with its chunk {} is", id,
                                to_string(until), digest.hex().substr(0, 12))};
  }
}

LogNeeds Model::log_needs(const std::string& id, const Point& point) const {
  return {id, false, objects_.lock_of(point_name(id)), point.logs};
}

// Of all points that are whole; in the window are, from the newest one back that is as old as it
// and stays, all later ones. But none whose logs begin before what was pruned when it was opened:
// that was taken from nobody.
std::vector<LogNeeds> Model::all_log_needs() const {
  std::vector<std::pair<PolicyPoint, LogNeeds>> points;
  for (const auto& [id, point] : points_) {
    if (point.state == Point::State::whole) points.push_back({point.told, log_needs(id, point)});
  }
  const auto verdicts = apply_policy(staying(), policy_);
  const auto first = std::ranges::find_if(verdicts, &PointVerdict::begins_window);
  std::vector<LogNeeds> out;
  for (auto& [told, needs] : points) {
    needs.in_window =
        LogbookModel::has_all_from(points_.at(told.id).left_before, needs.logs) &&
        (first == verdicts.end() ||
         std::tie(told.created, told.id) >= std::tie(first->point.created, first->point.id));
    out.push_back(std::move(needs));
  }
  return out;
}

void Model::removes_locked(const std::string& name, Timestamp now) const {
  const auto until = objects_.lock_of(name);
  if (until - now <= off_.count()) return;
  throw Violation{fmt::format("{} is removed, and locked until {}", name, to_string(until))};
}

void Model::read_back(Point& point, const RecoveryPoint& whole) {
  Chunks chunks(*vault_, {.threads = 0, .seed = 0});
  std::set<Digest> needs;
  for (const auto& id : snapshots_of(whole)) {
    auto name = snapshot_name(*vault_, id);
    point.roots.insert(name);
    auto files = expected_.at(name);
    SnapshotReader reader(chunks, name);
    for (const auto& page : reader.pages()) needs.insert(page.digest);
    reader.for_each([&](const Entry& entry) {
      std::string bytes;
      reader.read_file(entry, [&](std::string_view part) { bytes += part; });
      for (const auto& chunk : entry.chunks) needs.insert(chunk.digest);
      auto file = files.extract(entry.path);
      if (file && file.mapped() == bytes) return;
      throw Violation{
          fmt::format("point {} was published and has another {}", whole.id, entry.path)};
    });
    if (!files.empty()) throw Violation{"point " + whole.id + " was published and lacks files"};
  }
  point.needs.assign(needs.begin(), needs.end());
}

// But those that go for sure.
std::vector<PolicyPoint> Model::staying() const {
  std::vector<PolicyPoint> all;
  for (const auto& [id, one] : points_) {
    if (one.state == Point::State::whole && !going_.contains(id)) all.push_back(one.told);
  }
  return all;
}

// From here on nothing brings back the points that it names. The window may begin with an older
// point than it could, and then all is there that follows that one. As long as no word relies on
// one, all that are as old may go: then a pruner looked before the newest was published.
void Model::settled(const nlohmann::json& word) {
  const auto before = apply_policy(staying(), policy_);
  for (const auto& name : word.at("points")) {
    going_.insert(rest_of(name.get<std::string>(), "points/"));
  }
  const bool takes = !word.at("points").empty() || word.contains("logs");
  window_has_begun_ = window_has_begun_ || (takes && word.contains("window"));
  for (const auto& verdict : before) {
    const bool for_window_only = verdict.begins_window && verdict.reasons.size() == 1;
    if (!going_.contains(verdict.point.id) || !verdict.keep || for_window_only) continue;
    throw Violation{"point " + verdict.point.id + " goes, and the policy keeps it"};
  }
  if (window_has_begun_ &&
      std::ranges::none_of(apply_policy(staying(), policy_), &PointVerdict::begins_window)) {
    throw Violation{"the window begins with none any more of the points that stay"};
  }
  for (const auto& needs : all_log_needs()) logbook_.check_left(needs);
}

void Model::removes_point(const std::string& id, const std::string& who) {
  auto it = points_.find(id);
  if (it == points_.end()) return;
  auto& point = it->second;
  if (std::exchange(point.state, Point::State::gone) != Point::State::whole) return;
  if (!going_.contains(id)) throw Violation{"point " + id + " is removed, and no word says so"};
  if (pins_.keeps(id, pruning_since(who)))
    throw Violation{"point " + id + " is removed, and it is pinned"};
  for (const auto& digest : point.needs) --needed_[digest];
}

void Model::removes_snapshot(const std::string& name) {
  for (const auto& [id, point] : points_) {
    if (point.state == Point::State::whole && point.roots.count(name) != 0)
      throw Violation{name + " is deleted, and point " + id + " needs it"};
  }
  for (const auto& [id, pin] : pins_.all()) {
    if (pin.counts() && points_.at(pin.point).roots.count(name) != 0)
      throw Violation{name + " is deleted, and pin " + id + " of point " + pin.point + " needs it"};
  }
}

void Model::written_word(const std::string& id, std::string_view bytes, const std::string& who) {
  auto json = payload_of(ObjectType::word, word_name(id), bytes);
  auto [it, is_new] = words_.try_emplace(id);
  auto& word = it->second;
  if (is_new && json.contains("since")) throw Violation{"word " + id + " begins in its middle"};
  if (word.since == Timestamp(0) && json.contains("since")) settled(json);
  if (json.contains("since")) word.since = *parse_timestamp(json.at("since").get<std::string>());
  if (!json.value("decided", false)) return;
  if (std::exchange(word.decided, true)) throw Violation{"word " + id + " was decided twice"};
  word.looked = pruning_since(who);
  for (const auto* what : {"packs", "snapshots"}) {
    for (const auto& name : json.at(what)) word.names.insert(name.get<std::string>());
  }
}

// Nothing is deleted that was not announced, nor before those who read it had their time.
void Model::check_word_allows(const std::string& name, Timestamp now) {
  for (const auto& [_, word] : words_) {
    if (word.names.count(name) == 0) continue;
    if (now - word.since >= least_wait().count()) return;
    throw Violation{
        fmt::format("{} is deleted {} s after it was announced", name, (now - word.since) / 1000)};
  }
  throw Violation{name + " is deleted, and no word was decided that names it"};
}

void Model::outside_made(const std::string& name, const std::string& point) {
  outside_[name] = point;
}

void Model::outside_removed(const std::string& name) {
  auto it = outside_.find(name);
  if (it == outside_.end()) return;
  if (is_live(it->second)) throw Violation{name + " is removed, and its point is there"};
  if (pins_.keeps(it->second, kLastTime))
    throw Violation{name + " is removed, and its point is pinned"};
  outside_.erase(it);
}

void Model::won(const std::string& name, const std::string& version, std::string_view bytes,
                const std::string& who) {
  auto [it, is_new] = winners_.try_emplace({name, version}, Winner{who, std::string(bytes)});
  if (is_new || it->second.wrote == bytes) return;
  throw Violation{fmt::format("{} and {} both won the swap of version {} of {}", it->second.who,
                              who, version, name)};
}

bool Model::is_live(const std::string& point) const {
  auto it = points_.find(point);
  return it != points_.end() && it->second.state == Point::State::whole;
}

bool Model::is_open(const std::string& point) const {
  auto it = points_.find(point);
  return it != points_.end() && it->second.state == Point::State::open;
}

std::vector<std::string> Model::live() const {
  std::vector<std::string> out;
  for (const auto& [id, point] : points_) {
    if (point.state == Point::State::whole) out.push_back(id);
  }
  return out;
}

void Model::expect_no_garbage() {
  proofs_.expect_no_garbage();
  std::set<std::string> roots;
  for (const auto& [id, point] : points_) {
    if (point.state == Point::State::whole) roots.insert(point.roots.begin(), point.roots.end());
    if (point.state != Point::State::whole && point.state != Point::State::gone)
      throw Violation{"the unfinished point " + id + " stays for ever"};
  }
  for (const auto& [name, chunks] : packs_) {
    bool used = std::any_of(chunks.begin(), chunks.end(),
                            [&](const auto& digest) { return needed_[digest] > 0; });
    if (!used) throw Violation{name + " stays for ever, and nothing needs it"};
  }
  objects_.list("", [&](const store::ObjectInfo& info) {
    if (info.name.starts_with("prune/") || info.name.starts_with("pins/"))
      throw Violation{info.name + " stays for ever"};
    if (info.name.starts_with("snapshots/") && roots.count(info.name) == 0)
      throw Violation{info.name + " stays for ever, and no point names it"};
  });
  for (const auto& [name, point] : outside_) {
    if (points_.count(point) != 0 && points_.at(point).needs.empty()) continue;  // never published
    if (!is_live(point)) throw Violation{name + " stays for ever, and its point is gone"};
  }
}

}  // namespace lifeboat::vault::simulation
