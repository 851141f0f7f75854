#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "vault/ranges.hpp"
#include "vault/vault.hpp"

namespace lifeboat::vault {

struct LogSummary {
  LogName log;
  Position first;             // the lowest position known
  Position next;              // one past the highest: where to go on
  ByteCount bytes;            // uncompressed, copies by several writers counted each
  std::uint64_t objects = 0;  // that hold some of it
  std::uint64_t gaps = 0;     // holes between first and next, recorded or not
  Timestamp min_time;
  Timestamp max_time;
  bool pruned = false;  // what lay before `first`, and perhaps more
};

// A whole extent, and which part of it is to be used: what is outside of [wanted_from, wanted_to)
// was given before or was not asked for. Record batches are given whole; the caller takes the
// records whose offsets are wanted.
struct ExtentView {
  Position base;
  Position next;
  std::string_view bytes;
  Position wanted_from;
  Position wanted_to;
  const Extent& extent;
};

// The same, owning its bytes.
struct OwnedExtent {
  std::shared_ptr<const std::string> bytes;
  Position wanted_from;
  Position wanted_to;
  Extent extent;
};

struct DamagedObject {
  std::string object;
  Error error;
  // With a damaged summary nothing is lost: the footers were read instead; nor with a record of
  // what was pruned.
  bool costs_nothing() const {
    return object.starts_with("index/") || object.starts_with("pruned/");
  }
};

enum class Holes { refuse, skip };

// From this position on a log is read as another one.
struct Turn {
  Position from;
  LogName log;
};

// Reads the logbook. Where a log's extents lie is read when they are first asked for, and kept
// (about 160 bytes an extent); data is read when asked for, one extent at a time. Objects that were
// merged into others meanwhile are found again. Thread-safe.
class Logbook {
 public:
  // Reads the summaries, and the footers of the objects that none tells of, several at a time.
  // Objects that cannot be read do not stop it: their ranges are missing, see damaged().
  // Error(unsupported) when one is of a newer format.
  static Logbook load(Vault vault);
  Logbook(Logbook&&) noexcept;
  Logbook& operator=(Logbook&&) noexcept;
  ~Logbook();

  // Takes in the objects that came since; returns how many.
  std::size_t refresh();

  // From now on `log` is read up to the first turn (sorted, each farther than the one before), and
  // from there on as the logs of the turns: whatever is asked of it, is answered for this history.
  // What it holds behind the first turn is left out. An extent that a turn cuts through is told
  // shorter, with `cut_attributes`; its bytes are whole, as ExtentView says.
  void follow(const LogName& log, std::vector<Turn> turns, std::string cut_attributes);

  std::vector<DamagedObject> damaged() const;
  // The first of them that may have held a part of a log.
  std::optional<DamagedObject> lost() const;
  std::vector<LogSummary> logs() const;  // sorted by name
  // Where to go on: one past the highest position held or recorded as lost.
  std::optional<Position> next(const LogName& log) const;
  // Of the extent that reaches farthest; nullopt when there is none.
  std::optional<std::string> last_attributes(const LogName& log) const;
  Coverage coverage(const LogName& log) const;
  // Sorted by base. Ranges of several writers may overlap.
  std::vector<Extent> extents(const LogName& log) const;
  // Names of the objects that hold some of [from, to), copies by several writers each.
  std::set<std::string> objects(const LogName& log, Position from, Position to) const;
  std::vector<Gap> gaps(const LogName& log) const;
  // What retention left of the log; when nothing was pruned, one range of all positions.
  Ranges left(const LogName& log) const;
  // Names of the objects with extents of the log that reach beyond `from`; histories do not count.
  std::vector<std::string> objects_of(const LogName& log, Position from) const;
  // What an object holds of the log.
  std::vector<Extent> extents_in(const LogName& log, const std::string& object) const;
  // Whether other objects than these hold all of the extent's range; histories do not count.
  bool held_elsewhere(const Extent& extent, const std::set<std::string>& but) const;

  // Visits the extents that cover [from, to), in order: the wanted parts follow each other without
  // overlap. When an extent is damaged, another writer's copy is used. A range that is missing:
  // Error(not_found) that names it, or with Holes::skip the next wanted part begins after it.
  void read(const LogName& log, Position from, Position to,
            const std::function<void(const ExtentView&)>& visit, Holes holes = Holes::refuse) const;
  // The first extent that read() would visit, for readers that take turns between logs; the next
  // call goes on at its wanted_to. nullopt: nothing (more) up to `to`.
  std::optional<OwnedExtent> read_one(const LogName& log, Position from, Position to,
                                      Holes holes = Holes::refuse) const;
  // For logs whose positions are bytes (WAL): exactly the bytes [from, to).
  std::string read_bytes(const LogName& log, Position from, Position to) const;

 private:
  struct Impl;
  explicit Logbook(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace lifeboat::vault
