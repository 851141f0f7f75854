#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "kafka/range_facts.hpp"

// What is kept beside an extent of a Kafka log, as docs/format.md has it. Pure.
namespace lifeboat::recovery {

// The batches themselves must be looked into: too much for an attribute, or a part of an extent.
inline constexpr const char* kLookIntoBatches = R"({"transactions":true})";

// So many transactions that they do not fit become {"transactions": true}: look into the batches.
std::string to_attributes(const kafka::RangeFacts& facts);
// nullopt: the attributes do not tell of transactions, the batches must be looked into.
std::optional<kafka::RangeFacts> parse_attributes(std::string_view attributes);
// Of an extent and of the next one, which begins at `base`: those of both; nullopt: apart they can
// tell, together they cannot.
std::optional<std::string> merge_attributes(const std::string& attributes, Offset base,
                                            const std::string& more);

}  // namespace lifeboat::recovery
