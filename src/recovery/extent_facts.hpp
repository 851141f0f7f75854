#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kafka/range_facts.hpp"
#include "vault/logbook.hpp"
#include "vault/logbook_writer.hpp"

// What is kept beside an extent of a Kafka log: its attributes (docs/format.md).
namespace lifeboat::recovery {

// The batches themselves must be looked into: too much for an attribute, or a part of an extent.
inline constexpr const char* kLookIntoBatches = R"({"transactions":true})";

// So many transactions that they do not fit become {"transactions": true}: look into the batches.
std::string to_attributes(const kafka::RangeFacts& facts);
// nullopt: the attributes do not tell of transactions, the batches must be looked into.
std::optional<kafka::RangeFacts> parse_attributes(std::string_view attributes);

// How extents of the stack's logs are merged and which are worth compressing as they come.
vault::LogPolicy log_policy();

// The transactions of which something may lie in [from, to) of a Kafka log: from the extents'
// attributes; extents without them are read. Looks beyond `to` as far as it takes to know how what
// was open there ended.
kafka::TransactionSum transactions_of(const vault::Logbook& logbook, const vault::LogName& log,
                                      Position from, Position to);

}  // namespace lifeboat::recovery
