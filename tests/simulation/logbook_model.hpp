#pragma once

#include <map>
#include <string>
#include <vector>

#include "simulation/objects.hpp"
#include "vault/points.hpp"
#include "vault/pruned_logs.hpp"

namespace lifeboat::vault::simulation {

// What a point that is there needs of the logbook.
struct LogNeeds {
  std::string id;
  bool in_window = false;  // the point with which the window begins, or a later one
  Timestamp locked;        // until then the point is; 0: it is not
  std::vector<LogStart> logs;
};

// What the logbook must be: told of every change of it, in their order. Throws Violation.
class LogbookModel {
 public:
  explicit LogbookModel(const Objects& objects) : objects_(objects) {}

  struct Part {
    LogName log;
    Range range;
  };
  // That an archiver was told is durable.
  void promise(const LogName& log, Range range) { promised_.push_back({log, range}); }
  const std::vector<Part>& promised() const { return promised_; }

  // After they took effect: of objects below logbook/ and pruned/.
  void written(const Vault& vault, const std::string& name, std::string_view bytes);
  void pruned(const Vault& vault, const std::string& name, const std::string& bytes,
              const std::vector<LogNeeds>& points);
  // Before it takes effect.
  void removes(const std::string& name, const std::vector<LogNeeds>& points);
  void removes_pruned(const std::string& name);

  // What a point that is there needs was not pruned.
  void check_left(const LogNeeds& point) const;
  // A point that is about to be there relies only on what stays, and is locked as long as it.
  void check(const LogNeeds& point) const;
  // nullptr: all of it.
  const Ranges* left_of(const LogName& log) const { return left_.left_of(log); }
  const PrunedLogs& left() const { return left_; }
  // Nothing was pruned of what follows.
  static bool has_all_from(const PrunedLogs& left, const std::vector<LogStart>& logs);
  bool has_all_from(const std::vector<LogStart>& logs) const { return has_all_from(left_, logs); }
  std::uint64_t narrowed() const { return narrowed_; }  // logs, how often

 private:
  Ranges held(const LogName& log, const std::string& but, Timestamp locked) const;

  const Objects& objects_;
  std::vector<Part> promised_;
  std::map<std::string, std::vector<Part>> held_;  // by each object that is there
  PrunedLogs left_;                                // all that was ever pruned
  std::map<std::string, PrunedLogs> pruned_;       // by objects that are there
  std::uint64_t narrowed_ = 0;
};

}  // namespace lifeboat::vault::simulation
