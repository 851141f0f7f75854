#pragma once

#include <set>
#include <string>
#include <vector>

#include "vault/points.hpp"
#include "vault/ranges.hpp"

// Which part of the logbook is needed when a window of it is kept. Pure.
namespace lifeboat::vault {

// What a point says of the logs.
struct PointLogs {
  std::string id;
  bool kept = false;
  bool in_window = false;        // the point with which the window begins, or a later one
  std::vector<LogStart> starts;  // a log's name also speaks of those whose names continue it by '/'
  // Kinds of logs (kind_of()) of which it holds something without saying from where on.
  std::set<std::string> silent;
};

struct KnownLog {
  LogName log;
  Position first;
  Position next;
};

// Of a log that is not needed as a whole.
struct LogVerdict {
  LogName log;
  Ranges kept;  // the last one has no end
  std::string why;
};

// Of each log is needed: all from the lowest position on that a point of the window names, and what
// makes an older point that is kept consistent, [position, until). A log that was made within the
// window is needed as a whole, as one that no point names; one that only older points name is
// needed no more, nor what was cut back and goes on under another name before the window; of all
// others the last position stays. While a point of the window is silent of a kind, nothing of that
// kind is given up. `points`: all that are there, oldest first, those too that are dropped now.
std::vector<LogVerdict> apply_window(const std::vector<PointLogs>& points,
                                     const std::vector<KnownLog>& logs);

std::string kind_of(const LogName& log);  // "kafka", "postgres": up to the first '/'

}  // namespace lifeboat::vault
