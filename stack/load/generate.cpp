#include "generate.hpp"

#include <fmt/format.h>
#include <xxhash.h>

#include <ctime>
#include <iterator>

namespace loadgen {
namespace {

constexpr std::array<const char*, 6> kEvents = {"$pageview", "$autocapture", "$pageleave",
                                                "$identify", "purchase",     "signed_up"};
constexpr std::array<const char*, 4> kBrowsers = {"Chrome", "Firefox", "Safari", "Edge"};
constexpr std::int64_t kDayMs = 86'400'000;
constexpr std::size_t kMostPersons = 5000;
constexpr std::size_t kMostSessions = 200;

/// "2024-05-06 07:08:09.123" in UTC.
std::string clock_text(std::int64_t ms) {
  const std::time_t seconds = ms / 1000;
  std::tm t{};
  gmtime_r(&seconds, &t);
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:03}", t.tm_year + 1900, t.tm_mon + 1,
                     t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec, ms % 1000);
}

/// As a JSON string's inside; the generator makes no control characters.
void append_escaped(std::string& out, const std::string& plain) {
  for (const char c : plain) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
}

std::uint16_t partition_of(const std::string& key, Topic topic) {
  const auto hash = XXH64(key.data(), key.size(), 0);
  return static_cast<std::uint16_t>(hash % kPartitions[static_cast<std::size_t>(topic)]);
}

std::uint64_t hash_of(const std::string& content) {
  return XXH64(content.data(), content.size(), 0);
}

}  // namespace

Generator::Generator(std::uint64_t seed) : random_(seed) {}

void Generator::begin_epoch(std::uint16_t epoch) {
  epoch_ = epoch;
  persons_.clear();
  sessions_.clear();
}

void Generator::next(Message& message, std::uint64_t now_us) {
  message.key.clear();
  message.value.clear();
  message.timestamp_ms = static_cast<std::int64_t>(now_us / 1000);
  const std::uint32_t dice = random_.below(100);
  message.topic = dice < 90 ? Topic::events : dice < 95 ? Topic::persons : Topic::replay;
  message.seq = seq_[static_cast<std::size_t>(message.topic)]++;
  switch (message.topic) {
    case Topic::events:
      return event(message, now_us);
    case Topic::persons:
      return person(message, now_us);
    case Topic::replay:
      return replay(message, now_us);
  }
}

void Generator::event(Message& message, std::uint64_t now_us) {
  const Id uuid = id();
  const std::uint32_t team_id = team();
  const char* name = kEvents[random_.below(kEvents.size())];
  const auto amount = static_cast<std::int32_t>(random_.below(2'000'000'000)) - 1'000'000'000;
  // One in ten comes late, up to three days.
  const std::int64_t late = random_.below(10) == 0 ? random_.below(3 * kDayMs) : 0;
  const std::int64_t when_ms = message.timestamp_ms - late;
  const std::uint32_t visitor = random_.below(20'000);

  message.key = fmt::format("visitor-{}-{}", team_id, visitor);
  message.partition = partition_of(message.key, message.topic);
  properties_.clear();
  fmt::format_to(
      std::back_inserter(properties_),
      R"({{"amount":{},"$browser":"{}","$current_url":"https://shop.example/{}/item/{}","$session":"{:x}")",
      amount, kBrowsers[random_.below(kBrowsers.size())], team_id, random_.below(5000),
      random_.next());
  if (random_.below(2) == 0)
    fmt::format_to(std::back_inserter(properties_),
                   R"(,"$referrer":"https://search.example/?q={:x}")", random_.next());
  properties_.push_back('}');

  const std::string uuid_text = text(uuid);
  fmt::format_to(
      std::back_inserter(message.value),
      R"({{"uuid":"{}","team_id":{},"event":"{}","distinct_id":"{}","timestamp":"{}","properties":")",
      uuid_text, team_id, name, message.key, clock_text(when_ms));
  append_escaped(message.value, properties_);
  message.value.append("\"}");

  const auto timestamp_s = static_cast<std::uint32_t>(message.timestamp_ms / 1000);
  content_.clear();
  fmt::format_to(std::back_inserter(content_), "{}|{}|{}|{}|{}|{}|{}", uuid_text, team_id, name,
                 message.key, when_ms, timestamp_s, properties_);
  message.record = EventSent{message.seq,
                             now_us,
                             message.partition,
                             epoch_,
                             team_id,
                             uuid,
                             hash_of(content_),
                             timestamp_s,
                             static_cast<std::uint32_t>(when_ms / kDayMs),
                             amount,
                             static_cast<std::uint32_t>(properties_.size())};
}

void Generator::person(Message& message, std::uint64_t now_us) {
  if (persons_.empty() || (persons_.size() < kMostPersons && random_.below(2) == 0))
    persons_.push_back({id(), team(), 0, message.timestamp_ms});
  Person& person =
      persons_[random_.below(2) == 0 ? persons_.size() - 1
                                     : random_.below(static_cast<std::uint32_t>(persons_.size()))];
  ++person.version;
  const bool identified = random_.below(2) == 0;

  message.key = text(person.id);
  message.partition = partition_of(message.key, message.topic);
  properties_.clear();
  fmt::format_to(std::back_inserter(properties_),
                 R"({{"email":"{:x}@example.com","plan":"plan {}"}})", random_.next(),
                 random_.below(5));
  fmt::format_to(
      std::back_inserter(message.value),
      R"({{"id":"{}","team_id":{},"version":{},"is_identified":{},"created_at":"{}","properties":")",
      message.key, person.team, person.version, identified ? 1 : 0, clock_text(person.created_ms));
  append_escaped(message.value, properties_);
  message.value.append("\"}");

  const std::int64_t timestamp_s = message.timestamp_ms / 1000;
  content_.clear();
  fmt::format_to(std::back_inserter(content_), "{}|{}|{}|{}|{}|{}|{}|{}", message.key, person.team,
                 person.version, identified ? 1 : 0, person.created_ms, timestamp_s,
                 message.partition, properties_);
  message.record = PersonSent{message.seq,
                              now_us,
                              message.partition,
                              epoch_,
                              person.team,
                              person.id,
                              hash_of(content_),
                              person.version,
                              static_cast<std::uint64_t>(timestamp_s)};
}

Generator::Session& Generator::session(std::int64_t now_ms) {
  if (sessions_.size() < kMostSessions) {
    const std::int64_t late = random_.below(20) == 0 ? kDayMs : 0;
    sessions_.push_back({id(), team(), now_ms - late, 1 + random_.below(40)});
    return sessions_.back();
  }
  Session& session = sessions_[random_.below(kMostSessions)];
  if (session.left == 0) session = {id(), team(), now_ms, 1 + random_.below(40)};
  return session;
}

void Generator::replay(Message& message, std::uint64_t now_us) {
  Session& at = session(message.timestamp_ms);
  --at.left;
  const std::int64_t first_ms = at.next_ms;
  const std::int64_t last_ms = first_ms + 500 + random_.below(5000);
  at.next_ms = last_ms;
  const std::uint32_t clicks = random_.below(20);
  const std::uint32_t keys = random_.below(200);
  const std::int64_t size = 1000 + random_.below(1'000'000);

  message.key = text(at.id);
  message.partition = partition_of(message.key, message.topic);
  fmt::format_to(std::back_inserter(message.value),
                 R"({{"session_id":"{}","team_id":{},"first_timestamp":"{}","last_timestamp":"{}",)"
                 R"("click_count":{},"keypress_count":{},"size":{}}})",
                 message.key, at.team, clock_text(first_ms), clock_text(last_ms), clicks, keys,
                 size);
  message.record = ReplaySent{message.seq, now_us,  message.partition,
                              epoch_,      at.team, at.id,
                              first_ms,    last_ms, size,
                              clicks,      keys,    static_cast<std::uint64_t>(first_ms / kDayMs)};
}

Id Generator::id() {
  // Version 4, variant 1, as a UUID has it.
  return {(random_.next() & ~0xf000ULL) | 0x4000, (random_.next() & ~(3ULL << 62)) | (2ULL << 62)};
}

std::uint32_t Generator::team() {
  return 1 + random_.below(kTeams);
}

}  // namespace loadgen
