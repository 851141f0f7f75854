#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "vault/object.hpp"
#include "vault/sample.hpp"

// What verify runs have proven, as it is kept (proof.hpp), and what several records say together.
// docs/format.md has the members. Pure.
namespace lifeboat::vault {

enum class Depth {
  existence,  // all that is named is there; roots, lists and footers are read
  sample,     // and a part of the bytes was read and checked
  data,       // and every byte
};
enum class Verdict { verified, failed, could_not_verify };
std::string_view to_string(Depth depth);
std::string_view to_string(Verdict verdict);  // "VERIFIED"…

// What one run said of one point.
struct Outcome {
  Timestamp at;  // when the run began: what was written later was not looked at
  Depth depth = Depth::existence;
  Verdict verdict = Verdict::could_not_verify;
  std::string what;  // is wrong
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

// Samples of a point that have gone round: all of its data was read, not before `from`, not after
// `to`.
struct ReadWhole {
  Timestamp from, to;
  friend bool operator==(const ReadWhole&, const ReadWhole&) = default;
};
// What the point's data lay in, in all samples since.
struct SampledSet {
  Timestamp since;
  std::uint64_t set = 0;  // PointResult::set
  friend bool operator==(const SampledSet&, const SampledSet&) = default;
};

// What is known of one point.
struct PointProof {
  std::string id;
  // When it was last proven as deeply as that, or deeper.
  std::optional<Timestamp> existence, sample, data;
  // The last outcome that was not VERIFIED, until a run that is as deep or deeper says VERIFIED.
  std::optional<Outcome> open;
  std::optional<ReadWhole> whole = {};
  std::optional<SampledSet> sampled = {};  // goes with Proof::turn
  friend bool operator==(const PointProof&, const PointProof&) = default;
};
void add_outcome(PointProof& point, const Outcome& outcome);
// After a sample, the last of `turn`. nullopt: it did not prove the point.
void add_sample(PointProof& point, std::optional<std::uint64_t> set, const SampleTurn& turn);

// A damage in short.
struct DamageNote {
  std::string object, kind, problem, next;
  std::vector<std::string> points;  // that lose something
};
constexpr std::size_t kMaxNotes = 100;

struct Proof {
  std::string id;  // <time>-<16 hex digits>: drawn anew for each
  // The run that wrote it.
  Timestamp began, finished;
  std::string host;
  Depth depth = Depth::existence;
  std::optional<Share> share;        // of a sample
  std::optional<std::string> point;  // the only one that was looked at
  Verdict verdict = Verdict::could_not_verify;
  std::uint64_t objects = 0;
  ByteCount bytes;                  // read
  std::vector<DamageNote> damages;  // at most kMaxNotes
  std::vector<std::string> unchecked;
  // What is known after it.
  std::vector<PointProof> points;
  std::vector<std::string> damaged;   // packs and logbook objects, sorted
  std::optional<SamplePlace> next;    // sample
  SampleTurn turn;                    // that ends at `next`
  std::vector<std::string> replaces;  // ids of records of which this one says all that still holds
};

struct ListedProof {
  std::string id;
  std::optional<Proof> proof;
  Code code = Code::corrupt;  // why it cannot be read
  std::string problem;
};
// What records say together. `runs`: those that no other one replaces, oldest first.
struct Proven {
  std::vector<Proof> runs;
  std::vector<PointProof> points;    // sorted by id
  std::vector<std::string> damaged;  // sorted
  std::optional<SamplePlace> next;
  SampleTurn turn;
  std::vector<std::string> seen;  // ids of all readable records, replaced ones too
  const PointProof* find(const std::string& point) const;
  // When the last run of all points began that was so deep, as far as it is known.
  std::optional<Timestamp> last_run(Depth depth) const;
};
Proven merge_proofs(const std::vector<ListedProof>& listed);  // pure
std::string encode_proof(const Proof& proof);                 // the payload
// Undoes seal() of it. Error(corrupt), Error(unsupported).
Proof open_proof(const Sealing* sealing, const std::string& id, std::string object);

std::string proof_name(const std::string& id);  // proofs/<id>

}  // namespace lifeboat::vault
