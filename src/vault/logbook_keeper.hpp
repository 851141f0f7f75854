#pragma once

#include <set>
#include <string>
#include <vector>

#include "base/cancel.hpp"
#include "base/clock.hpp"
#include "base/random.hpp"
#include "vault/logbook_survey.hpp"
#include "vault/logbook_writer.hpp"
#include "vault/merge_plan.hpp"
#include "vault/pruned_logs.hpp"

namespace lifeboat::vault {

struct KeeperOptions {
  MergeRule merge;
  Millis remove_after{3'600'000};        // what was replaced stays so long, for those who read
  std::size_t summarize_objects = 1000;  // a summary is written when none tells of so many…
  std::size_t summary_weight = 65536;    // …or of so many extents; one tells of about so many
  ByteCount max_extent{8u << 20};        // of merged extents, uncompressed
  int zstd_level = 3;
};

// What a round did.
struct Kept {
  std::size_t summaries = 0;          // written
  std::size_t merged = 0;             // objects that became part of another
  std::size_t rewritten = 0;          // objects that another replaces without what was pruned
  std::size_t removed = 0;            // objects
  bool may_not_remove = false;        // what was replaced is left to who may
  std::vector<std::string> problems;  // damaged objects that were left as they are, and why
};

// Keeps the logbook readable as it grows: writes summaries, merges small old objects by log, and
// removes what was replaced; what was pruned (pruned_logs.hpp) is left out whenever objects are
// written anew, and objects that hold much of it are. At every moment a reader finds each range
// that it found before, with the same bytes: a merged object says itself what it replaces, and is
// read back whole before that is removed. Any number of keepers may work on a vault, and each may
// die at any moment. Memory: about twice merge.to, and 200 bytes for each extent of a summary. For
// one thread.
class LogbookKeeper {
 public:
  LogbookKeeper(Vault vault, KeeperOptions options, LogPolicy policy, Clock& clock, Random& random);

  // Summaries for a history that has none, some objects at a time, so that the memory of whoever
  // reads it next is bounded. Nothing to do in most cases.
  std::size_t catch_up(const Cancel& cancel);

  // One round. `own`: the incarnations that this process writes under. Throws what the store
  // throws, and Error(cancelled): the next round goes on.
  Kept keep(const std::set<std::string>& own, const Cancel& cancel);

 private:
  bool merge_runs(const std::vector<std::vector<ObjectEntry>>& runs, std::size_t& count, Kept& kept,
                  const Cancel& cancel);
  bool merge(const std::vector<ObjectEntry>& run, Kept& kept, const Cancel& cancel);
  std::vector<ObjectEntry> mergeable(const Survey& found);
  std::vector<PrunedObject> pruned_objects(const Survey& found);
  void summarize(const Survey& found, Kept& kept, const Cancel& cancel);
  void remove_what_was_replaced(const Survey& found, Kept& kept, const Cancel& cancel);
  void remove_replaced(const Survey& found, Kept& kept, const Cancel& cancel);
  bool whole(const ObjectEntry& object, Kept& kept, const Cancel& cancel);
  void write_summary(SummaryBuilder& builder);

  Vault vault_;
  KeeperOptions options_;
  LogPolicy policy_;
  Clock& clock_;
  std::string incarnation_;
  std::uint64_t next_object_ = 0;
  std::uint64_t next_summary_ = 0;
  Timestamp newest_summary_{0};
  FoundPruned pruned_;
  std::set<std::string> without_pruned_;  // summaries that tell of nothing that was pruned
  ObjectSet damaged_;                     // not tried again by this process
  ObjectSet whole_;                       // merged objects that were read back
};

}  // namespace lifeboat::vault
