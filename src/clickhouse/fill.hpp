#pragma once

#include <string>
#include <vector>

#include "clickhouse/client.hpp"
#include "clickhouse/schema.hpp"

namespace lifeboat::clickhouse {

// What a Kafka table missed is consumed from filler topics, and its views take it for the original:
//
//   K__lifeboat_fill (Kafka) ── K__lifeboat_fill_mv ── K (Null) ── the views of K
//                           └── K__lifeboat_seen_mv ── K__lifeboat_seen
//
// K, under the name that the views read from, is a Null table with Kafka's virtual columns as real
// ones; the first view puts the original topic, offset and everything else of each message there.
// Afterwards all of it goes, and K is created as the Kafka table that it is.

// Messages of a filler topic's partition from new_base on (up to the next range) had these offsets:
// their own plus `shift`.
struct FillRange {
  std::string filler;
  std::string topic;
  PartitionId partition;
  Offset new_base;
  std::int64_t shift;
};

struct Fill {
  TableRef table;     // the Kafka table; with all topics that it reads
  std::string group;  // consumes the fillers, and is nobody else's
  std::vector<std::string> fillers;
  std::vector<FillRange> ranges;  // of these fillers; sorted
};

// Creates all of it, the consuming table last; it begins at once, from the group's offsets. What
// an interrupted call made is made again, unless the consuming table stands: then nothing is done.
void create_fill(Client& client, const SchemaGraph& graph, const Fill& fill);

bool fill_stands(Client& client, const TableRef& table);

// What came through, by filler topic and partition.
struct FillCount {
  std::string filler;
  PartitionId partition;
  std::uint64_t messages;
  std::uint64_t rows;
  Offset first;  // the filler's own offsets
  Offset next;
};
std::vector<FillCount> count_fill(Client& client, const TableRef& table);

// DROP of all of it, the consuming table first. What is gone already is passed over.
void drop_fill(Client& client, const SchemaGraph& graph, const TableRef& table);

TableRef fill_table(const TableRef& table);  // the consuming one

// ---- pure

// The part of a CREATE between the parentheses after the table's name. Error(corrupt).
std::string column_list(const std::string& create_query, const std::string& subject);
// The table's own Kafka engine with other topics and another group.
std::string fill_engine(const Table& table, const Fill& fill);

}  // namespace lifeboat::clickhouse
