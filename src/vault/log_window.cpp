#include "vault/log_window.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

namespace lifeboat::vault {
namespace {

// What points say, by the names of logs.
class Said {
 public:
  Said(const std::vector<PointLogs>& points, const std::vector<KnownLog>& logs) : points_(points) {
    for (std::size_t i = 0; i < points.size(); ++i) {
      for (const auto& start : points[i].starts) by_log_[start.log].push_back({i, &start});
    }
    for (const auto& one : logs) ends_[name_of(one.log)].push_back(&one);
  }

  std::optional<LogVerdict> verdict(const KnownLog& known) const {
    const auto kind = kind_of(known.log);
    const auto* first = window_of(kind);
    if (first == nullptr) return std::nullopt;
    const auto said = by_log_.find(name_of(known.log));
    if (said == by_log_.end()) return std::nullopt;
    std::optional<Position> from;
    bool first_knows = false;
    bool dropped_knows = false;
    for (const auto& [point, start] : said->second) {
      if (!points_[point].in_window) continue;
      dropped_knows = dropped_knows || !points_[point].kept;
      if (!points_[point].kept) continue;
      from = std::min(from.value_or(start->position), start->position);
      first_knows = first_knows || &points_[point] == first;
    }
    const bool made_within = from ? !first_knows : dropped_knows;
    if (made_within) return std::nullopt;
    LogVerdict out{known.log, {}, ""};
    if (!from || (*from >= known.next && goes_on_elsewhere(known, *from))) {
      out.why = from ? "it was cut back and goes on as another log"
                     : fmt::format("no point since {} knows it", first->id);
      from = known.next;
    } else {
      out.why = fmt::format("the logbook's window begins with point {}", first->id);
      from = std::min(*from, Position(known.next.value - 1));
    }
    out.kept = islands(said->second);
    out.kept.push_back({*from, kLastPosition});
    out.kept = unite(std::move(out.kept));
    if (out.kept.front().from <= known.first && out.kept.size() == 1) return std::nullopt;
    return out;
  }

 private:
  struct Saying {
    std::size_t point;
    const LogStart* start;
  };

  // The name under which points speak of it, its own or one that it continues.
  LogName name_of(const LogName& log) const {
    if (by_log_.contains(log)) return log;
    const auto slash = log.value.rfind('/');
    if (slash == std::string::npos) return log;
    const LogName shorter{log.value.substr(0, slash)};
    return by_log_.contains(shorter) ? shorter : log;
  }

  // The point with which the window of that kind begins. nullptr: it is not known.
  const PointLogs* window_of(const std::string& kind) const {
    const PointLogs* first = nullptr;
    for (const auto& point : points_) {
      if (!point.kept || !point.in_window) continue;
      if (point.silent.contains(kind)) return nullptr;
      const bool speaks = std::any_of(point.starts.begin(), point.starts.end(),
                                      [&](const auto& one) { return kind_of(one.log) == kind; });
      if (speaks && first == nullptr) first = &point;
    }
    return first;
  }

  bool goes_on_elsewhere(const KnownLog& known, Position from) const {
    const auto& all = ends_.at(name_of(known.log));
    return std::any_of(all.begin(), all.end(),
                       [&](const KnownLog* one) { return one->next > from; });
  }

  Ranges islands(const std::vector<Saying>& said) const {
    Ranges out;
    for (const auto& [point, start] : said) {
      if (!points_[point].kept || points_[point].in_window || !start->until) continue;
      if (start->position < *start->until) out.push_back({start->position, *start->until});
    }
    return out;
  }

  const std::vector<PointLogs>& points_;
  std::map<LogName, std::vector<Saying>> by_log_;
  std::map<LogName, std::vector<const KnownLog*>> ends_;
};

}  // namespace

std::string kind_of(const LogName& log) {
  return log.value.substr(0, log.value.find('/'));
}

std::vector<LogVerdict> apply_window(const std::vector<PointLogs>& points,
                                     const std::vector<KnownLog>& logs) {
  const Said said(points, logs);
  std::vector<LogVerdict> out;
  for (const auto& log : logs) {
    if (auto verdict = said.verdict(log)) out.push_back(std::move(*verdict));
  }
  return out;
}

}  // namespace lifeboat::vault
