#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "kafka/log_folder.hpp"
#include "recovery/batch_reader.hpp"
#include "recovery/context.hpp"
#include "vault/logbook.hpp"

namespace lifeboat::recovery {

struct SeededLog {
  kafka::LogId log;  // as the logbook has it
  Offset first;      // where the log starts
  Offset next;       // where what was archived ends
};

// A log as it is to lie on a broker's disk: the logbook's batches with leader epoch 0, then an
// abort for each transaction that was open when the log ended, since its producer is gone. Offsets
// stay as they were; the aborts come after all of them.
class SeedStream {
 public:
  SeedStream(const vault::Logbook& logbook, const SeededLog& log)
      : log_(log), reader_(logbook, log.log, log.first, log.next) {}

  // A run of whole batches, [base, next); empty at the end. Valid until the next call.
  struct Run {
    Offset base;
    Offset next;
    std::string_view bytes;
  };
  Run next();

  // Of what was given so far.
  std::size_t aborted() const { return aborted_; }
  std::int64_t highest_producer() const { return highest_producer_; }

 private:
  void add(const kafka::BatchView& batch);
  void add_aborts();

  SeededLog log_;
  BatchReader reader_;
  std::string bytes_;
  Offset base_{0};
  Offset next_{0};
  Timestamp newest_{0};
  std::map<std::int64_t, std::int16_t> open_;  // producer -> epoch
  std::size_t aborted_ = 0;
  std::int64_t highest_producer_ = -1;
  bool ended_ = false;
};

struct SeedResult {
  Offset end;  // the aborts included
  ByteCount bytes;
  std::size_t aborted = 0;  // transactions
  std::int64_t highest_producer = -1;
};
// Writes one log into all of these folders, which then hold the same bytes.
SeedResult seed_log(const Context& context, const vault::Logbook& logbook, const SeededLog& log,
                    const std::vector<std::filesystem::path>& folders,
                    const std::function<void(std::uint64_t)>& progress);

// Reads the partitions back from the brokers and compares them with the logbook, byte by byte but
// for the leader epochs, and where they start and end. `into` names the topics (by the same names)
// with their new topic ids. Error(corrupt) names the first offset that differs.
void compare_seeded(const Context& context, const vault::Logbook& logbook,
                    const std::vector<SeededLog>& logs,
                    const std::function<void(std::uint64_t)>& progress);

}  // namespace lifeboat::recovery
