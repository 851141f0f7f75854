#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "vault/logbook.hpp"
#include "vault/logbook_survey.hpp"
#include "vault/pruned_logs.hpp"

namespace lifeboat::vault {

// Where a range of a log lies. Its extent's log name is left empty: the index has it once.
struct Piece {
  StoredExtent stored;
  std::uint32_t object = 0;
  Position reach;  // the highest next of this piece and all before it
};

constexpr const char* kWhyPruned = "pruned, as `retention` says";

// All that is known of one log. The questions are pure.
struct LogIndex {
  std::vector<Piece> pieces;  // sorted by base
  std::vector<Gap> gaps;      // sorted by from
  bool sorted = false;
  Ranges left;  // when something was pruned: what it consists of since

  // What summaries tell of extents whose places were not read yet.
  struct Unread {
    std::size_t summary;
    std::size_t log;
  };
  std::vector<Unread> unread;
  std::vector<Range> unread_ranges;  // united once sorted
  std::uint64_t unread_objects = 0;
  ByteCount unread_bytes;
  Timestamp unread_min_time, unread_max_time;  // when there is something unread
  // Of the extent that reaches farthest, wherever it is told.
  Position last_next;
  std::string last_attributes;

  void add(StoredExtent extent, std::uint32_t object);
  void add_unread(const SummarizedLog& log, Unread place);
  void forget_unread();
  // And leaves out what was pruned.
  void sort();
  bool empty() const { return pieces.empty() && gaps.empty() && unread.empty(); }

  Position first() const;
  Position next() const;
  Coverage coverage() const;
  LogSummary summary(const LogName& name) const;

  // When nothing is unread:
  bool holds(Position at) const { return !holding(at).empty(); }
  // The pieces with base <= at < next, the farthest reaching first.
  std::vector<const Piece*> holding(Position at) const;
  // The lowest base above `at`.
  std::optional<Position> first_after(Position at) const;

 private:
  void leave_out_pruned();
  Position visible(Position at) const;
  Hole hole(Range range) const;
};

// What is where, from summaries as far as there are any, else from the objects' footers. For one
// thread at a time.
class LogbookIndex {
 public:
  explicit LogbookIndex(Vault vault) : vault_(vault) {}
  // Takes in what came since, and what replaced other objects; how many objects are new.
  std::size_t refresh();
  const LogIndex* find(const LogName& log) const;
  // With nothing unread. What find() and find_pieces() gave before is invalid afterwards.
  const LogIndex* find_pieces(const LogName& log);
  const std::map<LogName, LogIndex>& logs() const { return logs_; }
  const PrunedLogs& pruned() const { return pruned_; }
  std::string object_name(std::uint32_t object) const {
    return logbook_name(objects_[object].name);
  }
  const Salt& object_salt(std::uint32_t object) const { return objects_[object].salt; }
  const std::vector<DamagedObject>& damaged() const { return damaged_; }

 private:
  void rebuild();
  bool try_rebuild();
  bool take(UsedSummary summary);
  bool read_all(std::size_t summary);
  bool read_extents(LogIndex::Unread place, LogIndex& log);
  void add(const LogbookObjectName& name, Footer footer);
  void sort();

  struct Object {
    LogbookObjectName name;
    Salt salt;
  };
  struct Told {
    std::string name;
    Summary summary;
    std::vector<bool> only;
    std::uint32_t first_object = 0;  // number of its first object in objects_
  };

  Vault vault_;
  std::map<LogName, LogIndex> logs_;
  PrunedLogs pruned_;
  std::vector<Object> objects_;
  std::vector<Told> summaries_;
  ObjectSet known_;  // present, of which all is known
  ObjectSet replaced_;
  std::set<std::string> unusable_;  // summaries of which a part is damaged
  std::vector<DamagedObject> unusable_damage_;
  std::vector<DamagedObject> damaged_;
};

}  // namespace lifeboat::vault
