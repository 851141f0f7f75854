#pragma once

#include <array>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

namespace loadgen {

enum class Topic : std::uint8_t { events = 0, persons = 1, replay = 2 };
inline constexpr std::size_t kTopics = 3;

/// 128 random bits; text form is that of a UUID.
struct Id {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
};

// Records are written as they lie in memory: little endian, no padding between the fields. `seq`
// counts the messages of one topic from 0 without holes. Times `*_us` and `*_ms` are since the Unix
// epoch. drills/ledger.py reads them.

struct EventSent {
  std::uint64_t seq;
  std::uint64_t sent_us;
  std::uint16_t partition;
  std::uint16_t epoch;  ///< which life of the producer, from 0
  std::uint32_t team;
  Id id;
  std::uint64_t hash;         ///< XXH64 of all that ClickHouse keeps of the message
  std::uint32_t timestamp_s;  ///< Kafka's timestamp of the message
  std::uint32_t day;          ///< of the event's own timestamp, days since the Unix epoch
  std::int32_t amount;
  std::uint32_t property_bytes;
};
static_assert(sizeof(EventSent) == 64);

struct PersonSent {
  std::uint64_t seq;
  std::uint64_t sent_us;
  std::uint16_t partition;
  std::uint16_t epoch;
  std::uint32_t team;
  Id id;
  std::uint64_t hash;
  std::uint64_t version;
  std::uint64_t timestamp_s;
};
static_assert(sizeof(PersonSent) == 64);

struct ReplaySent {
  std::uint64_t seq;
  std::uint64_t sent_us;
  std::uint16_t partition;
  std::uint16_t epoch;
  std::uint32_t team;
  Id session;
  std::int64_t first_ms;
  std::int64_t last_ms;
  std::int64_t size;
  std::uint32_t clicks;
  std::uint32_t keys;
  std::uint64_t day;  ///< of first_ms
};
static_assert(sizeof(ReplaySent) == 80);

enum class Answer : std::uint16_t { acknowledged = 0, unknown = 1 };

struct MessageAnswered {
  std::uint64_t seq;
  std::uint64_t when_us;
  std::int64_t offset;  ///< -1 when unknown
  std::uint16_t partition;
  Answer answer;
  std::uint32_t reserved;
};
static_assert(sizeof(MessageAnswered) == 32);

enum class TransactionState : std::uint32_t {
  begun = 1,
  acknowledged = 2,
  absent = 3,   ///< rolled back, or broken off before COMMIT was sent: must not be there
  unknown = 4,  ///< COMMIT was sent and not answered: whole or absent
};

struct TransactionRecord {
  std::uint64_t tx_id;
  std::uint64_t when_us;
  TransactionState state;
  std::uint32_t connection;
  std::uint64_t hash;  ///< first 8 bytes of SHA-256 of the content, big endian
};
static_assert(sizeof(TransactionRecord) == 32);

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
