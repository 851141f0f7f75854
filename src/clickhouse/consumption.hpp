#pragma once

#include <string>
#include <vector>

#include "clickhouse/schema.hpp"

namespace lifeboat::clickhouse {

// What both a hold and a freeze ask of the server; for this room only.

// "(database, table) IN (('a', 'b'), ...)".
std::string in_tables(const std::vector<TableRef>& tables);
// "a.b, c.d", for messages.
std::string names_of(const std::vector<TableRef>& tables);

struct Consumption {
  std::string busy;   // tables in which a consumer works or whose loop is in a round; "" when none
  std::string state;  // changes when a message is read, an offset committed, a consumer replaced
};
// One query. After SYSTEM PAUSE returned, a round that begins does nothing: so the loop's state
// closes the moment between two rounds in which no consumer is marked as used and the next round
// has already passed its check. When `busy` is empty, `state` is final: both come from one look at
// each consumer.
Consumption consumption(Client& client, const std::vector<TableRef>& tables);

}  // namespace lifeboat::clickhouse
