#include <fmt/format.h>

#include "base/error.hpp"
#include "clickhouse/restore.hpp"
#include "recovery/restore_session.hpp"
#include "recovery/saved_files.hpp"

namespace lifeboat::recovery {
namespace {

clickhouse::BackupPlace place_of(RestoreSession& s) {
  return {s.context.config.clickhouse->backup_disk, s.context.config.clickhouse->backup_path};
}

// The cut in the offsets of the Kafka that is there now.
std::map<kafka::TopicPartition, Offset> cut_now(RestoreSession& s, const std::string& group) {
  const auto& cut = s.clickhouse_document().cut;
  auto out = cut.cut.at(group);
  for (auto& [tp, offset] : out) {
    auto translation = s.translation(tp);
    offset = translation ? translation->translate(offset) : after_fill(s, group, tp, offset);
  }
  return out;
}

// Topics of the cut must be the ones whose logs were replayed: offsets of another life of a topic
// mean nothing.
void check_identities(RestoreSession& s) {
  if (!s.restores(Store::kafka)) return;
  const auto& ids = s.clickhouse_document().cut.topic_ids;
  for (const auto& chosen : s.chosen_topics()) {
    auto it = ids.find(chosen.topic.name);
    if (it == ids.end() || chosen.logs.empty() || it->second == chosen.topic.topic_id) continue;
    throw Error(Code::unsupported, "topic " + chosen.topic.name,
                "was made again between the point and the loss: the cut counts in another log",
                "choose a point that was taken after that");
  }
}

// Retention may have gone on since the plan was made.
void refuse_deleted(RestoreSession& s, const std::string& group) {
  const auto cursors = cut_now(s, group);
  std::vector<kafka::TopicPartition> partitions;
  for (const auto& [tp, offset] : cursors) partitions.push_back(tp);
  for (const auto& [tp, ends] : s.cluster().offsets(partitions)) {
    if (ends.log_start <= cursors.at(tp)) continue;
    throw Error(Code::refused, kafka::to_string(tp),
                fmt::format("Kafka deleted [{}, {}) since the plan was made", cursors.at(tp),
                            ends.log_start),
                fmt::format("make a new plan: `lifeboat restore clickhouse --overwrite '{}'`",
                            s.context.config.clickhouse->url));
  }
}

void hold_groups(RestoreSession& s) {
  const auto& schema = s.clickhouse_schema();
  for (const auto& [group, cut] : s.clickhouse_document().cut.cut) {
    s.hold(group, clickhouse::topics_of(schema, group));
  }
}

clickhouse::RestoreJournal table_journal(RestoreSession& s) {
  auto key = [](const clickhouse::TableRef& ref) { return clickhouse::to_string(ref); };
  auto state_is = [&s, key](const clickhouse::TableRef& ref, const char* state) {
    const auto& tables = s.journal.data()["clickhouse_tables"];
    return tables.contains(key(ref)) && tables[key(ref)] == state;
  };
  auto set = [&s, key](const clickhouse::TableRef& ref, const char* state) {
    s.journal.data()["clickhouse_tables"][key(ref)] = state;
    s.journal.save();
  };
  clickhouse::RestoreJournal out;
  out.begun = [state_is](const auto& t) { return state_is(t, "begun") || state_is(t, "done"); };
  out.done = [state_is](const auto& t) { return state_is(t, "done"); };
  out.begin = [set](const auto& t) { set(t, "begun"); };
  out.finish = [set](const auto& t) { set(t, "done"); };
  return out;
}

}  // namespace

void clickhouse_wait(RestoreSession& s) {
  s.wait_until("start an empty ClickHouse now at " + s.context.config.clickhouse->url, [&] {
    return answers([&] {
      s.clickhouse().ping();
      s.clickhouse().execute("SELECT 1");
      return true;
    });
  });
  if (s.journal.data().contains("clickhouse_tables")) return;  // begun by an interrupted run
  const auto& databases = s.clickhouse_schema().databases;
  auto target = clickhouse_target(s.context, databases);
  if (target.found.empty()) return;
  if (!s.may_overwrite(target.name)) {
    throw Error(Code::refused, "clickhouse " + target.name, "is not empty: " + target.found,
                fmt::format("empty it, or make a new plan with --overwrite '{}'", target.name));
  }
  clickhouse::drop_databases(s.clickhouse(), databases);
}

void clickhouse_check(RestoreSession& s) {
  const auto& document = s.clickhouse_document();
  auto folder = place_of(s).path / document.backup;
  vault::SnapshotReader snapshot(s.vault, document.snapshot);
  check_backup_files(
      snapshot, folder, [](const SavedFile&) { return true; }, s.context.cancel,
      [&](const SavedFile& file, const std::string& problem, Code code) {
        throw Error(code, (folder / file.name).string(), problem,
                    "choose another point (`lifeboat points`, `lifeboat verify`)");
      });
}

void clickhouse_hold_groups(RestoreSession& s) {
  check_identities(s);
  hold_groups(s);
}

void clickhouse_data(RestoreSession& s) {
  hold_groups(s);
  const auto& schema = s.clickhouse_schema();
  auto order = clickhouse::restore_order(schema);
  clickhouse::create_databases(s.clickhouse(), schema);
  clickhouse::create_tables(s.clickhouse(), schema, order.first);
  std::vector<clickhouse::RestoredTable> tables;
  for (const auto& ref : order.data) tables.push_back({ref, ref});
  clickhouse::restore_data(s.clickhouse(), place_of(s), s.clickhouse_document().backup, tables,
                           table_journal(s), s.context.cancel,
                           [&](std::size_t done, std::size_t of, const auto&) {
                             s.context.reporter.progress("tables", done, of, "tables");
                           });
  clickhouse::create_tables(s.clickhouse(), schema, order.definitions);
}

void clickhouse_cursors(RestoreSession& s) {
  hold_groups(s);
  const auto& schema = s.clickhouse_schema();
  for (const auto& [group, cut] : s.clickhouse_document().cut.cut) {
    refuse_deleted(s, group);
    s.commit(s.hold(group, clickhouse::topics_of(schema, group)), group, cut_now(s, group));
  }
}

void clickhouse_views(RestoreSession& s) {
  hold_groups(s);
  clickhouse::create_tables(s.clickhouse(), s.clickhouse_schema(),
                            clickhouse::restore_order(s.clickhouse_schema()).views);
}

void clickhouse_kafka_tables(RestoreSession& s) {
  hold_groups(s);
  clickhouse::create_tables(s.clickhouse(), s.clickhouse_schema(),
                            clickhouse::restore_order(s.clickhouse_schema()).kafka);
}

void clickhouse_release(RestoreSession& s) {
  for (const auto& [group, cut] : s.clickhouse_document().cut.cut) s.let_go(group);
}

void clickhouse_consume(RestoreSession& s) {
  for (const auto& [group, cut] : s.clickhouse_document().cut.cut) {
    s.wait_consuming(group, cut_now(s, group));
  }
}

}  // namespace lifeboat::recovery
