#pragma once

#include <string>
#include <variant>
#include <vector>

#include "ledger.hpp"
#include "pace.hpp"

namespace loadgen {

inline constexpr std::uint32_t kTeams = 20;  ///< as in stack/schema/postgres.sql
inline constexpr std::uint32_t kFlags = 40;
inline constexpr std::array<const char*, kTopics> kTopicNames = {"events_json", "persons_json",
                                                                 "session_replay_json"};
inline constexpr std::array<std::uint32_t, kTopics> kPartitions = {4, 2, 2};

/// One message, ready to be produced, and its record for the ledger.
struct Message {
  Topic topic = Topic::events;
  std::uint64_t seq = 0;
  std::uint16_t partition = 0;
  std::int64_t timestamp_ms = 0;
  std::string key;
  std::string value;
  std::variant<EventSent, PersonSent, ReplaySent> record;
};

/// Makes messages in PostHog's shape: 90 of 100 events, 5 persons, 5 session replay. The key
/// decides the partition; persons and sessions belong to one life of the producer, so that after a
/// loss of Kafka what is new never mixes with what was before. Of one thread.
class Generator {
 public:
  explicit Generator(std::uint64_t seed);
  /// The producer's next life: forgets all persons and sessions.
  void begin_epoch(std::uint16_t epoch);
  /// Fills `message`, reusing its memory.
  void next(Message& message, std::uint64_t now_us);

 private:
  struct Person {
    Id id;
    std::uint32_t team;
    std::uint64_t version;
    std::int64_t created_ms;
  };
  struct Session {
    Id id;
    std::uint32_t team;
    std::int64_t next_ms;
    std::uint32_t left;
  };

  void event(Message& message, std::uint64_t now_us);
  void person(Message& message, std::uint64_t now_us);
  void replay(Message& message, std::uint64_t now_us);
  [[nodiscard]] Id id();
  [[nodiscard]] std::uint32_t team();
  Session& session(std::int64_t now_ms);

  Random random_;
  std::uint16_t epoch_ = 0;
  std::array<std::uint64_t, kTopics> seq_{};
  std::vector<Person> persons_;
  std::vector<Session> sessions_;
  std::string properties_;
  std::string content_;
};

}  // namespace loadgen
