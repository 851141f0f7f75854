#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "base/cancel.hpp"
#include "vault/pins.hpp"
#include "vault/points.hpp"
#include "vault/prune_logs.hpp"
#include "vault/prune_word.hpp"
#include "vault/retention_policy.hpp"

namespace lifeboat::vault {

struct PruneProgress {
  std::string doing;  // "points", "packs", "snapshots"
  std::uint64_t done = 0;
  std::uint64_t total = 0;
};

struct PruneOptions {
  RetentionPolicy policy;
  Millis grace{86'400'000};
  // A pin without a sign of life counts so long: its restore can be gone on with. The grace period,
  // when that is longer.
  Millis pin_life{7 * 86'400'000LL};
  std::set<std::string> drop;       // ids; also of broken points, that no policy touches
  std::set<std::string> unpin;      // whose restores are given up: ids of points; also of pins
  bool dry_run = false;             // only looks
  bool only_finish = false;         // what earlier runs named; nothing new
  bool nobody_else_writes = false;  // the user's word, for a store without compare-and-swap
  std::string host;
  // Adds to each point's logs what it needs beside what logs_of() tells, and of which kinds that is
  // not known.
  std::function<void(const std::vector<const RecoveryPoint*>&, std::vector<PointLogs>&)> log_starts;
  // What a point keeps beside the vault, by names that no other point has; and how it is removed.
  std::function<std::vector<std::string>(const RecoveryPoint&)> outside;
  std::function<void(const std::string&)> remove_outside;
  // The same of a point that was never published: what is there.
  std::function<std::vector<std::string>(const UnfinishedPoint&)> outside_unfinished;
  std::function<void(const PruneProgress&)> progress;
};

// A word, and how far it is.
struct PruneStep {
  PruneWord word;
  enum class State { planned, waits, finished } state = State::waits;
  Timestamp due;                         // when it waits
  std::vector<std::string> open;         // for these points; they are revoked when it is due
  std::size_t packs = 0, snapshots = 0;  // when finished: removed, of those that it named
};

// What is unused and locked (locks.hpp): it is left alone, and goes by a later run.
struct LockedContent {
  std::size_t packs = 0, snapshots = 0;
  ByteCount bytes;                 // of these packs
  std::optional<Timestamp> first;  // when the first of them can go…
  Timestamp last;                  // …and the last
};

struct PruneReport {
  std::vector<PointVerdict> points;  // whole ones, oldest first
  std::vector<ListedPoint> broken;
  std::vector<UnfinishedPoint> unfinished;
  std::vector<Pin> pins;      // that count: what they need is kept
  std::vector<Pin> unpinned;  // revoked by this run
  // Beside the vault, of unfinished points: it goes when a point has been revoked for the grace
  // period.
  std::vector<std::string> unpublished;
  std::vector<std::string> dropped;  // points
  std::vector<std::string> revoked;  // points
  std::vector<PruneStep> steps;
  std::vector<LogPruning> logs;  // named now: what goes of the logbook
  std::optional<LockedContent> locked;
  std::vector<std::string> problems;  // why less was done than is due
  std::optional<Timestamp> due;       // when the next run has something to finish
};

// One run: finishes what is due of earlier ones, whoever they were; drops the points that the
// policy does not keep, unless they are pinned; says what is to be deleted, and ends. What is
// needed by any point that is there, or that is pinned, is never deleted, whoever writes, prunes,
// stalls or dies meanwhile. What is locked is not deleted, and points are kept while they are.
// Deletion needs no space but for the word. Errors: what the store throws (denied: prune alone
// needs to delete), Error(refused) for a store that has one writer, or when no good point would be
// left. Memory: PackIndex, a bit for each pack, one page of a snapshot.
PruneReport prune(const Vault& vault, const PruneOptions& options, Clock& clock, Random& random,
                  const Cancel& cancel);

}  // namespace lifeboat::vault
