#include "vault/proof_format.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "vault/text.hpp"

namespace lifeboat::vault {
namespace {

template <typename Enum, std::size_t N>
Enum parse(const std::string& name, const Enum (&all)[N], const std::string& text) {
  for (auto one : all) {
    if (to_string(one) == text) return one;
  }
  throw_corrupt(ObjectType::proof, name, "says '" + text + "', which is unknown");
}
constexpr Depth kDepths[] = {Depth::existence, Depth::sample, Depth::data};
constexpr Verdict kVerdicts[] = {Verdict::verified, Verdict::failed, Verdict::could_not_verify};

nlohmann::json to_json(const PointProof& point) {
  nlohmann::json out = {{"id", point.id}};
  if (point.existence) out["existence"] = to_string(*point.existence);
  if (point.sample) out["sample"] = to_string(*point.sample);
  if (point.data) out["data"] = to_string(*point.data);
  if (point.whole) {
    out["whole"] = {{"from", to_string(point.whole->from)}, {"to", to_string(point.whole->to)}};
  }
  if (point.sampled) {
    out["sampled"] = {{"since", to_string(point.sampled->since)}, {"set", point.sampled->set}};
  }
  if (point.open) {
    out["open"] = {{"at", to_string(point.open->at)},
                   {"depth", to_string(point.open->depth)},
                   {"verdict", to_string(point.open->verdict)},
                   {"what", point.open->what}};
  }
  return out;
}

PointProof point_of(const std::string& name, const nlohmann::json& json) {
  auto time = [&](const char* member) -> std::optional<Timestamp> {
    if (!json.contains(member)) return std::nullopt;
    return time_of(ObjectType::proof, name, json.at(member));
  };
  PointProof out{
      json.at("id").get<std::string>(), time("existence"), time("sample"), time("data"), {}};
  if (json.contains("whole")) {
    const auto& whole = json.at("whole");
    out.whole = {time_of(ObjectType::proof, name, whole.at("from")),
                 time_of(ObjectType::proof, name, whole.at("to"))};
  }
  if (json.contains("sampled")) {
    const auto& sampled = json.at("sampled");
    out.sampled = {time_of(ObjectType::proof, name, sampled.at("since")),
                   sampled.at("set").get<std::uint64_t>()};
  }
  if (!json.contains("open")) return out;
  const auto& open = json.at("open");
  out.open = {time_of(ObjectType::proof, name, open.at("at")),
              parse(name, kDepths, open.at("depth").get<std::string>()),
              parse(name, kVerdicts, open.at("verdict").get<std::string>()),
              open.at("what").get<std::string>()};
  return out;
}

nlohmann::json to_json(const SamplePlace& place) {
  return {{"seed", place.seed},
          {"packs", place.packs},
          {"logbook", place.logbook},
          {"files", place.files}};
}

SamplePlace place_of(const nlohmann::json& json) {
  auto number = [&](const char* member) { return json.at(member).get<std::uint64_t>(); };
  return {number("seed"), number("packs"), number("logbook"), number("files")};
}

nlohmann::json to_json(const SampleTurn& turn) {
  auto runs = nlohmann::json::array();
  for (const auto& run : turn.runs) {
    runs.push_back({{"at", to_string(run.at)}, {"upto", to_json(run.upto)}});
  }
  return {{"from", to_json(turn.from)}, {"runs", std::move(runs)}};
}

SampleTurn turn_of(const std::string& name, const nlohmann::json& json) {
  SampleTurn out{place_of(json.at("from")), {}};
  for (const auto& run : json.at("runs")) {
    out.runs.push_back({time_of(ObjectType::proof, name, run.at("at")), place_of(run.at("upto"))});
  }
  return out;
}

nlohmann::json to_json(const DamageNote& note) {
  return {{"object", note.object},
          {"kind", note.kind},
          {"problem", note.problem},
          {"next", note.next},
          {"points", note.points}};
}

DamageNote note_of(const nlohmann::json& json) {
  auto text = [&](const char* member) { return json.at(member).get<std::string>(); };
  return {text("object"), text("kind"), text("problem"), text("next"),
          json.at("points").get<std::vector<std::string>>()};
}

Proof proof_of(const std::string& name, const nlohmann::json& json) {
  Proof out;
  out.id = json.at("id").get<std::string>();
  out.began = time_of(ObjectType::proof, name, json.at("began"));
  out.finished = time_of(ObjectType::proof, name, json.at("finished"));
  out.host = json.at("host").get<std::string>();
  out.depth = parse(name, kDepths, json.at("depth").get<std::string>());
  out.verdict = parse(name, kVerdicts, json.at("verdict").get<std::string>());
  out.objects = json.at("objects").get<std::uint64_t>();
  out.bytes = ByteCount(json.at("bytes").get<std::uint64_t>());
  for (const auto& note : json.at("damages")) out.damages.push_back(note_of(note));
  out.unchecked = json.at("unchecked").get<std::vector<std::string>>();
  for (const auto& point : json.at("points")) out.points.push_back(point_of(name, point));
  out.damaged = json.at("damaged").get<std::vector<std::string>>();
  out.replaces = json.at("replaces").get<std::vector<std::string>>();
  if (json.contains("share")) out.share = Share(json.at("share").get<std::uint32_t>());
  if (json.contains("point")) out.point = json.at("point").get<std::string>();
  if (json.contains("next")) out.next = place_of(json.at("next"));
  if (json.contains("turn")) out.turn = turn_of(name, json.at("turn"));
  return out;
}

void take_later(std::optional<Timestamp>& into, const std::optional<Timestamp>& time) {
  if (time && (!into || *into < *time)) into = time;
}

const std::optional<Timestamp>& at_depth(const PointProof& point, Depth depth) {
  return depth == Depth::existence ? point.existence
         : depth == Depth::sample  ? point.sample
                                   : point.data;
}

bool settled(const Outcome& open, const PointProof& by) {
  const auto& time = at_depth(by, open.depth);
  return time && *time > open.at;
}

// Of runs that did not know each other: what one found damaged is so until one that knew says else.
void merge(PointProof& into, const PointProof& other) {
  take_later(into.existence, other.existence);
  take_later(into.sample, other.sample);
  take_later(into.data, other.data);
  if (other.whole && (!into.whole || into.whole->to < other.whole->to)) into.whole = other.whole;
  auto worse = [](const Outcome& a, const Outcome& b) {
    bool failed_a = a.verdict == Verdict::failed, failed_b = b.verdict == Verdict::failed;
    return failed_a != failed_b ? failed_a : a.at > b.at;
  };
  if (other.open && (!into.open || worse(*other.open, *into.open))) into.open = other.open;
  if (into.open && settled(*into.open, into)) into.open.reset();
}

}  // namespace

std::string_view to_string(Depth depth) {
  return depth == Depth::existence ? "existence" : depth == Depth::sample ? "sample" : "data";
}

std::string_view to_string(Verdict verdict) {
  return verdict == Verdict::verified ? "VERIFIED"
         : verdict == Verdict::failed ? "FAILED"
                                      : "COULD NOT VERIFY";
}

std::string proof_name(const std::string& id) {
  return "proofs/" + id;
}

std::string encode_proof(const Proof& proof) {
  nlohmann::json json = {{"id", proof.id},
                         {"began", to_string(proof.began)},
                         {"finished", to_string(proof.finished)},
                         {"host", proof.host},
                         {"depth", to_string(proof.depth)},
                         {"verdict", to_string(proof.verdict)},
                         {"objects", proof.objects},
                         {"bytes", proof.bytes.value},
                         {"damages", nlohmann::json::array()},
                         {"unchecked", proof.unchecked},
                         {"points", nlohmann::json::array()},
                         {"damaged", proof.damaged},
                         {"replaces", proof.replaces}};
  if (proof.share) json["share"] = proof.share->value;
  if (proof.point) json["point"] = *proof.point;
  if (proof.next) json["next"] = to_json(*proof.next);
  if (!proof.turn.runs.empty()) json["turn"] = to_json(proof.turn);
  for (const auto& note : proof.damages) json["damages"].push_back(to_json(note));
  for (const auto& point : proof.points) json["points"].push_back(to_json(point));
  return dump_json(json, "proof " + proof.id);
}

Proof open_proof(const Sealing* sealing, const std::string& id, std::string object) {
  auto name = proof_name(id);
  auto opened = unseal(sealing, ObjectType::proof, name, object);
  auto json = parse_json(ObjectType::proof, name, opened.payload);
  return read_members(ObjectType::proof, name, [&] {
    auto proof = proof_of(name, json);
    if (proof.id != id) throw_corrupt(ObjectType::proof, name, "says it is " + proof.id);
    return proof;
  });
}

void add_outcome(PointProof& point, const Outcome& outcome) {
  if (outcome.verdict != Verdict::verified) {
    bool keeps = point.open && point.open->verdict == Verdict::failed &&
                 (outcome.verdict != Verdict::failed || outcome.depth < point.open->depth);
    if (!keeps) point.open = outcome;
    return;
  }
  take_later(point.existence, outcome.at);
  if (outcome.depth >= Depth::sample) take_later(point.sample, outcome.at);
  if (outcome.depth == Depth::data) take_later(point.data, outcome.at);
  if (point.open && point.open->depth <= outcome.depth) point.open.reset();
}

void add_sample(PointProof& point, std::optional<std::uint64_t> set, const SampleTurn& turn) {
  if (!set) {
    point.sampled.reset();
    return;
  }
  const auto& run = turn.runs.back();
  if (!point.sampled || point.sampled->set != *set) point.sampled = {run.at, *set};
  if (auto from = gone_round_since(turn, point.sampled->since)) point.whole = {*from, run.at};
}

Proven merge_proofs(const std::vector<ListedProof>& listed) {
  Proven out;
  std::set<std::string> replaced;
  for (const auto& one : listed) {
    if (!one.proof) continue;
    out.seen.push_back(one.id);
    replaced.insert(one.proof->replaces.begin(), one.proof->replaces.end());
  }
  std::map<std::string, PointProof> points;
  std::set<std::string> damaged;
  const Proof* newest = nullptr;  // of those that know of samples
  for (const auto& one : listed) {
    if (!one.proof || replaced.contains(one.id)) continue;
    const auto& proof = *one.proof;
    for (const auto& point : proof.points) {
      auto [it, is_new] = points.emplace(point.id, point);
      if (!is_new) merge(it->second, point);
    }
    damaged.insert(proof.damaged.begin(), proof.damaged.end());
    if (proof.next && (newest == nullptr || newest->finished <= proof.finished)) newest = &proof;
    out.runs.push_back(proof);
  }
  for (auto& [id, point] : points) point.sampled.reset();
  if (newest != nullptr) {
    out.next = newest->next;
    out.turn = newest->turn;
    for (const auto& point : newest->points) points.at(point.id).sampled = point.sampled;
  }
  for (auto& [id, point] : points) out.points.push_back(std::move(point));
  out.damaged.assign(damaged.begin(), damaged.end());
  return out;
}

const PointProof* Proven::find(const std::string& point) const {
  auto it = std::lower_bound(points.begin(), points.end(), point,
                             [](const auto& one, const auto& id) { return one.id < id; });
  return it != points.end() && it->id == point ? &*it : nullptr;
}

std::optional<Timestamp> Proven::last_run(Depth depth) const {
  std::optional<Timestamp> out;
  for (const auto& run : runs) {
    if (!run.point && run.depth >= depth) take_later(out, run.began);
  }
  if (depth <= Depth::sample && !turn.runs.empty()) take_later(out, turn.runs.back().at);
  return out;
}

}  // namespace lifeboat::vault
