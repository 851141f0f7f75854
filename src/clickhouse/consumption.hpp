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

// The tables in which a consumer works or whose loop is in a round; "" when none. After SYSTEM
// PAUSE returned, a round that begins does nothing: so the loop's state closes the moment between
// two rounds in which no consumer is marked as used and the next round has already passed its
// check.
std::string busy_tables(Client& client, const std::vector<TableRef>& tables);

}  // namespace lifeboat::clickhouse
