#pragma once

#include "kafka/range_facts.hpp"
#include "vault/logbook.hpp"
#include "vault/logbook_writer.hpp"

// What the extents of the logs tell, together.
namespace lifeboat::recovery {

// How extents of the stack's logs are merged and which are worth compressing as they come.
vault::LogPolicy log_policy();

// The transactions of which something may lie in [from, to) of a Kafka log: from the extents'
// attributes; extents without them are read. Looks beyond `to` as far as it takes to know how what
// was open there ended.
kafka::TransactionSum transactions_of(const vault::Logbook& logbook, const vault::LogName& log,
                                      Position from, Position to);

}  // namespace lifeboat::recovery
