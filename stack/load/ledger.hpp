#pragma once

#include <array>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "records.hpp"

namespace loadgen {

[[nodiscard]] std::uint64_t now_us();
[[nodiscard]] std::string text(Id id);

/// The ledger of truth: append-only files in a directory that must not exist before. What was said
/// to be sent is on its way to the file before what was said to be acknowledged; all is written out
/// every 50 ms. A ledger that cannot be written ends the program: there is no load without it. Safe
/// from any thread.
///
///   events.sent  events.answers  persons.sent  persons.answers  replay.sent  replay.answers
///   transactions
///     16 bytes "LBLEDGER", u32 version, u32 size of a record; then records
///   journal.jsonl
///     one JSON object a line: {"at": unix seconds, "what": …}; the last one of a whole ledger is
///     "closed"
class Ledger {
 public:
  explicit Ledger(const std::filesystem::path& directory);
  ~Ledger();
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;

  void sent(const EventSent& record);
  void sent(const PersonSent& record);
  void sent(const ReplaySent& record);
  void answered(Topic topic, const MessageAnswered& record);
  void transaction(const TransactionRecord& record);
  /// `fields` is the inside of a JSON object without the braces, or empty.
  void journal(std::string_view what, std::string_view fields);
  /// Writes everything out and the last line, with the number of records in each file.
  void close();

 private:
  struct File {
    int fd = -1;
    std::uint64_t records = 0;
    std::string waiting;
  };
  // Order of writing out: what is sent before what is answered.
  enum Slot {
    kEvents,
    kPersons,
    kReplay,
    kEventAnswers,
    kPersonAnswers,
    kReplayAnswers,
    kTransactions,
    kJournal
  };
  static constexpr std::size_t kSlots = 8;

  template <class Record>
  void append(Slot slot, const Record& record);
  void write_out();
  void write_out_regularly();

  std::filesystem::path directory_;
  std::mutex write_mutex_;  ///< held over a whole round of writing, so that rounds do not overtake
                            ///< each other
  std::mutex mutex_;        ///< guards all below
  std::condition_variable ends_;
  bool ending_ = false;
  bool closed_ = false;
  std::array<File, kSlots> files_;
  std::thread writer_;
};

}  // namespace loadgen
