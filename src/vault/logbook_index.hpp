#pragma once

#include <map>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "vault/logbook.hpp"
#include "vault/logbook_format.hpp"

namespace lifeboat::vault {

// Where a range of a log lies. Its extent's log name is left empty: the index has it once.
struct Piece {
  StoredExtent stored;
  std::uint32_t object = 0;
  Position reach;  // the highest next of this piece and all before it
};

// All that is known of one log. The questions are pure.
struct LogIndex {
  std::vector<Piece> pieces;  // sorted by base
  std::vector<Gap> gaps;      // sorted by from
  bool sorted = false;

  void sort();
  Position first() const;
  Position next() const;
  bool holds(Position at) const { return !holding(at).empty(); }
  // The pieces with base <= at < next, the farthest reaching first.
  std::vector<const Piece*> holding(Position at) const;
  // The lowest base above `at`.
  std::optional<Position> first_after(Position at) const;
  Coverage coverage() const;

 private:
  Hole hole(Range range) const;
};

// Reads the footers of the logbook's objects.
class LogbookIndex {
 public:
  explicit LogbookIndex(Vault vault) : vault_(vault) {}
  std::size_t refresh();
  const LogIndex* find(const LogName& log) const;
  const std::map<LogName, LogIndex>& logs() const { return logs_; }
  const std::string& object_name(std::uint32_t object) const { return objects_[object]; }
  const std::vector<DamagedObject>& damaged() const { return damaged_; }

 private:
  std::vector<store::ObjectInfo> list_new();
  void add(const std::string& name, Footer footer);

  Vault vault_;
  std::map<LogName, LogIndex> logs_;
  std::vector<std::string> objects_;
  std::unordered_set<std::string> known_;
  std::vector<DamagedObject> damaged_;
};

// The footer of one object, by reading its end (all of it when it is small: then its header is
// checked too). Error(not_found) when it is gone.
Footer read_footer(const Vault& vault, const store::ObjectInfo& object);

}  // namespace lifeboat::vault
