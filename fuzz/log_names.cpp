#include "recovery/log_names.hpp"

#include "fuzz/targets.hpp"

// What a log of the logbook is called. What is no name of a kind is nothing, and is no Error.
namespace lifeboat::fuzz {

void log_names(std::string_view bytes) {
  const vault::LogName name{std::string(bytes)};
  const auto log = recovery::parse_kafka_log(name);
  const auto branch = recovery::parse_kafka_branch(name);
  const auto wal = recovery::parse_wal_log(name);
  const auto history = recovery::parse_history_log(name);
  if ((log ? 1 : 0) + (branch ? 1 : 0) + (wal ? 1 : 0) + (history ? 1 : 0) > 1) {
    broken("a name of two kinds");
  }
  if (log && recovery::parse_kafka_log(recovery::log_name(*log)) != log) broken("another log");
  if (branch) {
    const auto again =
        recovery::parse_kafka_branch(recovery::log_name_since(branch->log, branch->epoch));
    if (!again || again->log != branch->log || again->epoch != branch->epoch) {
      broken("another branch");
    }
  }
  if (wal) {
    const auto again = recovery::parse_wal_log(recovery::wal_log_name(*wal));
    if (!again || again->timeline != wal->timeline) broken("another timeline's WAL");
  }
  if (history && !recovery::parse_history_log(recovery::history_log_name(*history))) {
    broken("another timeline's history");
  }
  if (!log && !branch && !wal && !history) throw Error(Code::corrupt, "a log", "is of no kind");
}

}  // namespace lifeboat::fuzz

LIFEBOAT_FUZZ_TARGET(log_names)
