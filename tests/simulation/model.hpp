#pragma once

#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "simulation/logbook_model.hpp"
#include "simulation/pins.hpp"
#include "simulation/proofs.hpp"
#include "simulation/violation.hpp"
#include "vault/points.hpp"
#include "vault/prune_word.hpp"
#include "vault/retention_policy.hpp"

namespace lifeboat::vault::simulation {

using Files = std::map<std::string, std::string>;  // path -> bytes

// What the vault must be, beside what it is: told of every change that takes effect in the store,
// in their order, and of what backups were given to keep. Throws Violation.
//
// It looks at each change once, so that all holds at all times: a point that becomes whole is read
// back to the last byte; from then on nothing that it needs may go.
class Model {
 public:
  // `objects` is the store as it is, without faults; no two clocks differ by more than `off` from
  // the time that is told here. `pin_life`: of pins without a sign of life.
  Model(Objects& objects, RetentionPolicy policy, Millis grace, Millis off, Millis pin_life)
      : objects_(objects),
        policy_(std::move(policy)),
        grace_(grace),
        off_(off),
        pins_(pin_life - 2 * off) {}
  // When it was made, before all else.
  void begin(const Vault& vault) { vault_ = vault; }

  // A backup is about to name this snapshot, of these files.
  void expect(const std::string& snapshot, Files files);
  const Files& expected(const std::string& snapshot) const { return expected_.at(snapshot); }

  // After it took effect.
  void written(const std::string& name, std::string_view bytes, Timestamp now,
               const std::string& who);
  // Before it takes effect, of an object that is there.
  void removes(const std::string& name, Timestamp now, const std::string& who);
  // From then on he looks at everything anew.
  void prune_begins(const std::string& who, Timestamp now) { pruning_since_[who] = now; }
  // A restore has seen its point since it wrote the pin.
  void saw(const std::string& pin, Timestamp now);
  // What a point has beside the vault.
  void outside_made(const std::string& name, const std::string& point);
  void outside_removed(const std::string& name);
  LogbookModel& logbook() { return logbook_; }
  const ProofModel& proofs() const { return proofs_; }
  const PinModel& pins() const { return pins_; }

  // Who swapped this version was told `written`. Two who wrote the same bytes may both be
  // (store/retry_store.hpp).
  void won(const std::string& name, const std::string& version, std::string_view bytes,
           const std::string& who);

  // Whole, and not dropped.
  bool is_live(const std::string& point) const;
  bool is_open(const std::string& point) const;
  std::vector<std::string> live() const;
  std::uint64_t published() const { return published_; }  // points
  std::uint64_t deleted() const { return deleted_; }      // packs
  // When nobody writes any more and all is pruned: only what is needed is there.
  void expect_no_garbage();

 private:
  struct Point {
    enum class State { open, whole, revoked, gone } state = State::open;
    PolicyPoint told;
    std::vector<Digest> needs;
    std::set<std::string> roots;
    std::vector<LogStart> logs;
    std::string sign{};        // of life, the last one
    PrunedLogs left_before{};  // of the logbook, when it was opened
  };
  struct Word {
    Timestamp since;
    std::set<std::string> names;  // what was decided
    bool decided = false;
    Timestamp looked{0};  // he who decided it has looked at everything since then; 0: not known
  };
  struct HashDigest {
    std::size_t operator()(const Digest& digest) const {
      std::size_t out;
      __builtin_memcpy(&out, digest.bytes.data(), sizeof out);
      return out;
    }
  };

  nlohmann::json payload_of(ObjectType type, const std::string& name, std::string_view bytes) const;
  void written_point(const std::string& id, std::string_view bytes, Timestamp now);
  void written_word(const std::string& id, std::string_view bytes, const std::string& who);
  void written_pin(const std::string& id, std::string_view bytes, Timestamp now);
  void pruned_logs(const std::string& name, std::string_view bytes);
  void let_go(const std::string& point);
  Timestamp pruning_since(const std::string& who) const;
  void written_pack(const std::string& name, std::string_view bytes);
  void read_back(Point& point, const RecoveryPoint& whole);
  void publish(const std::string& id, Point& point);
  void check_locks(const std::string& id, const Point& point);
  void check_is_dead(const std::string& id, const Point& point, const nlohmann::json& written,
                     Timestamp now) const;
  LogNeeds log_needs(const std::string& id, const Point& point) const;
  std::vector<LogNeeds> all_log_needs() const;
  std::vector<LogNeeds> log_needs_of_pins(Timestamp looked) const;
  void removes_locked(const std::string& name, Timestamp now) const;
  void removes_pack(const std::string& name);
  void removes_point(const std::string& id, const std::string& who);
  std::vector<PolicyPoint> staying() const;
  void settled(const nlohmann::json& word);
  void removes_snapshot(const std::string& name);
  void check_word_allows(const std::string& name, Timestamp now);
  std::string who_needs(const Digest& digest) const;

  // Between what is said and what others do about it, by clocks that are off.
  Millis least_wait() const { return grace_ - 2 * off_; }

  Objects& objects_;
  RetentionPolicy policy_;
  Millis grace_, off_;
  std::optional<Vault> vault_;
  std::map<std::string, Files> expected_;
  std::map<std::string, Point> points_;
  std::map<std::string, Word> words_;
  std::set<std::string> going_;  // points that words drop for sure, ids
  bool window_has_begun_ = false;
  std::map<std::string, std::vector<Digest>> packs_;     // that are there
  std::unordered_map<Digest, int, HashDigest> holders_;  // packs that are there
  std::unordered_map<Digest, int, HashDigest> needed_;   // by live points
  std::map<std::string, std::string> outside_;           // of which point; that are there
  struct Winner {
    std::string who;
    std::string wrote;
  };
  std::map<std::pair<std::string, std::string>, Winner> winners_;  // of name and version
  LogbookModel logbook_{objects_};
  ProofModel proofs_;
  PinModel pins_;
  std::map<std::string, Timestamp> pruning_since_;  // by who prunes
  std::uint64_t published_ = 0;
  std::uint64_t deleted_ = 0;
};

}  // namespace lifeboat::vault::simulation
