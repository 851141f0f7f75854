#pragma once

#include "cli/verbs.hpp"

namespace lifeboat::cli {

// `lifeboat logbook cat`: archived records of Kafka, read again.
void add_logbook_cat(CLI::App& logbook, Invocation& invocation);

}  // namespace lifeboat::cli
