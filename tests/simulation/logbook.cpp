#include "simulation/logbook.hpp"

#include <fmt/format.h>

#include <array>

#include "simulation/violation.hpp"
#include "vault/vault_fixture.hpp"

namespace lifeboat::vault::simulation {
namespace {

const std::array<LogName, 2> kLogs = {{{"postgres/7301/00000001"}, {"kafka/c/t/events/0"}}};

LogbookOptions writer_options() {
  LogbookOptions options;
  options.backoff_first = Millis(0);  // the store's own turns are time enough
  options.backoff_most = Millis(0);
  return options;
}

void compare(const Logbook& book, const LogName& log, Range range) {
  if (book.read_bytes(log, range.from, range.to) == wal(range.from.value, range.to.value)) return;
  throw Violation{fmt::format("[{}, {}) of {} was read and is not what was archived", range.from,
                              range.to, log.value)};
}

// Of all but the latest ones: nothing of it is farther back than what was given before.
Range farthest(const std::vector<Range>& ranges, std::size_t latest) {
  auto out = ranges.front();
  for (std::size_t i = 1; i + latest < ranges.size(); ++i) {
    out.from = std::max(out.from, ranges[i].from);
    out.to = std::max(out.to, ranges[i].to);
  }
  return out;
}

}  // namespace

void LogbookLives::archive(const Vault& vault, Clock& clock) const {
  Cancel cancel;
  auto book = Logbook::load(vault);
  std::map<LogName, Position> at;
  for (const auto& log : kLogs) at[log] = book.next(log).value_or(Position(0));
  LogbookWriter writer(vault, writer_options(), clock, chance);
  writer.on_durable([&](const std::vector<Extent>& extents) {
    for (const auto& one : extents) model.promise(one.log, {one.base, one.next});
  });
  auto flushes = 1 + chance.below(6);
  for (std::uint64_t i = 0; i < flushes; ++i) {
    for (auto& [log, position] : at) {
      auto to = position + static_cast<std::int64_t>(1 + chance.below(200));
      // Now and then something is sent again, as a source does after a reconnect.
      auto from = chance.below(8) == 0 ? Position(position.value / 2) : position;
      writer.append(extent(log.value, from.value, to.value), wal(from.value, to.value), cancel);
      position = to;
    }
    writer.flush(cancel);
  }
}

bool LogbookLives::keep(const Vault& vault, Clock& clock) const {
  KeeperOptions options;
  options.merge.after = merge_after;
  options.merge.to = ByteCount(3000);
  options.merge.least = 3;
  options.remove_after = remove_after;
  options.summarize_objects = 4;
  LogbookKeeper keeper(vault, options, {}, clock, chance);
  auto kept = keeper.keep({}, Cancel());
  for (const auto& problem : kept.problems) {
    throw Error(Code::corrupt, "logbook", "its keeper says: " + problem);
  }
  return kept.merged + kept.rewritten + kept.summaries + kept.removed > 0;
}

void LogbookLives::read(const Vault& vault, std::size_t most) const {
  std::vector<LogbookModel::Part> wanted;
  const auto& promised = model.promised();
  for (std::size_t i = 0; i < std::min(most, promised.size()); ++i) {
    wanted.push_back(most < promised.size() ? promised[chance.below(promised.size())]
                                            : promised[i]);
  }
  auto book = Logbook::load(vault);
  for (const auto& part : wanted) read(book, part);
}

void LogbookLives::read(const Logbook& book, const LogbookModel::Part& part) const {
  try {
    compare(book, part.log, part.range);
  } catch (const Error& error) {
    const auto* left = model.left_of(part.log);
    const bool is_pruned = left != nullptr && !subtract({part.range}, *left).empty();
    if (error.code() != Code::not_found || !is_pruned) throw;
    const std::string what = error.what();
    if (what.find("it was pruned") != std::string::npos) return;
    throw Violation{part.log.value + " was pruned, and a reader of it is told: " + what};
  }
}

nlohmann::json LogbookLives::starts(bool any) const {
  auto out = nlohmann::json::array();
  std::vector<Range> wal, topic;
  for (const auto& [log, range] : model.promised())
    (log == kLogs[0] ? wal : topic).push_back(range);
  if (!wal.empty()) {
    const Range now{farthest(wal, 3).from, farthest(wal, chance.below(4)).to};
    auto range = any ? wal[chance.below(wal.size())] : now;
    range.from = std::min(range.from, now.from);
    out.push_back(
        {{"log", kLogs[0].value}, {"position", range.from.value}, {"until", range.to.value}});
  }
  // Brokers only ever delete what is oldest.
  if (!topic.empty())
    out.push_back({{"log", kLogs[1].value}, {"position", farthest(topic, 4).from.value}});
  return out;
}

void LogbookLives::read(const Vault& vault, const std::vector<LogStart>& logs) const {
  if (logs.empty()) return;
  auto book = Logbook::load(vault);
  for (const auto& one : logs) {
    if (one.until) compare(book, one.log, {one.position, *one.until});
  }
}

void LogbookLives::expect_no_garbage(const Vault& vault) const {
  auto found = survey(vault);
  for (const auto& [incarnation, numbers] : found.present.sets()) {
    for (const auto& [first, end] : numbers.ranges()) {
      for (auto n = first; n < end; ++n) {
        if (!found.replaced.has(incarnation, n)) continue;
        throw Violation{logbook_name({incarnation, n}) + " stays for ever, and was replaced"};
      }
    }
  }
  for (const auto& name : found.superseded) {
    throw Violation{name + " stays for ever, and is superseded"};
  }
  std::map<std::string, std::uint64_t> pruned;
  for_each_extent(
      vault, found, [](const auto&, const auto&) { return true; },
      [&](const ObjectEntry& object, const LogName& log, const StoredExtent& stored) {
        const auto* left = model.left_of(log);
        if (left == nullptr || meets(*left, {stored.extent.base, stored.extent.next})) return;
        auto& bytes = pruned[logbook_name(object.name)];
        bytes += stored.stored.value;
        if (bytes < object.size.value / 4) return;
        throw Violation{logbook_name(object.name) + " stays for ever, and much was pruned"};
      });
}

}  // namespace lifeboat::vault::simulation
