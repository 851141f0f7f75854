#pragma once

#include <cstddef>
#include <cstdint>

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

}  // namespace loadgen
