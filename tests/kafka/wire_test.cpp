#include "kafka/wire.hpp"

#include <gtest/gtest.h>

#include "base/error.hpp"
#include "base/random.hpp"
#include "kafka/connection.hpp"
#include "kafka/fetcher.hpp"
#include "kafka/followed_log.hpp"
#include "kafka/group_protocol.hpp"
#include "kafka/protocol.hpp"

namespace lifeboat::kafka {
namespace {

TEST(Wire, UuidsArePrintedAsKafkaDoes) {
  // What org.apache.kafka.common.Uuid prints for ONE_UUID and for 16 bytes of 0xff.
  EXPECT_EQ(print_uuid(std::string(15, '\0') + '\1'), "AAAAAAAAAAAAAAAAAAAAAQ");
  EXPECT_EQ(print_uuid(std::string(16, '\xff')), "_____________________w");
  Random random(1);
  for (int i = 0; i < 100; ++i) {
    std::string bytes;
    for (int k = 0; k < 16; ++k) bytes.push_back(static_cast<char>(random.below(256)));
    EXPECT_EQ(parse_uuid(print_uuid(bytes)), bytes);
  }
  EXPECT_EQ(parse_uuid("short"), std::nullopt);
  EXPECT_EQ(parse_uuid("AAAAAAAAAAAAAAAAAAAA*Q"), std::nullopt);
}

TEST(Wire, Addresses) {
  EXPECT_EQ(parse_address("kafka.example:9092"), (BrokerInfo{BrokerId(-1), "kafka.example", 9092}));
  EXPECT_EQ(parse_address("[::1]:1"), (BrokerInfo{BrokerId(-1), "::1", 1}));
  for (const char* bad : {"", "host", "host:", ":9092", "host:0", "host:70000", "host:9x"}) {
    EXPECT_THROW(parse_address(bad), Error) << bad;
  }
}

// Answers with impossible lengths and with any bytes at all: an Error or values, no crash, and no
// memory for what the lengths only claim.
TEST(Wire, HostileAnswers) {
  const auto seed = Random().next();
  SCOPED_TRACE(seed);
  Random random(seed);
  for (int round = 0; round < 20000; ++round) {
    std::string bytes;
    const auto n = random.below(200);
    const bool sparse = random.below(2) == 0;  // many small numbers go deeper
    for (std::uint64_t i = 0; i < n; ++i) {
      bytes.push_back(
          static_cast<char>(sparse && random.below(4) > 0 ? random.below(4) : random.below(256)));
    }
    const auto attempt = [&](auto parse) {
      try {
        parse(bytes, "test");
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::corrupt);
      }
    };
    attempt(parse_metadata);
    attempt(parse_list_offsets);
    attempt(parse_find_coordinator);
    attempt(parse_leave_group);
    attempt(parse_list_groups);
    attempt(parse_describe_group);
    attempt(parse_offset_fetch);
    attempt(parse_offset_commit);
    attempt(parse_delete_group);
    attempt(parse_fetch);
    attempt(parse_produce);
    attempt(parse_init_producer_id);
  }
}

TEST(Globs, Table) {
  const struct {
    const char* glob;
    const char* name;
    bool matches;
  } cases[] = {{"*", "", true},
               {"*", "x", true},
               {"events*", "events", true},
               {"events*", "event", false},
               {"a*c", "abc", true},
               {"a*c", "abcd", false},
               {"a*b*c", "axbxbxc", true},
               {"?", "", false},
               {"e?", "ev", true},
               {"", "", true},
               {"", "x", false},
               {"**x", "aax", true},
               {"a.b", "axb", false}};
  for (const auto& c : cases)
    EXPECT_EQ(glob_matches(c.glob, c.name), c.matches) << c.glob << c.name;
}

TEST(OutOfRange, Table) {
  const auto judge = [](int next, int start, int end) {
    return judge_out_of_range(Offset(next), Offset(start), Offset(end));
  };
  EXPECT_EQ(judge(5, 10, 20), OutOfRange::retention_passed);
  EXPECT_EQ(judge(10, 10, 20), OutOfRange::epoch_unknown);
  EXPECT_EQ(judge(20, 10, 20), OutOfRange::epoch_unknown);
  EXPECT_EQ(judge(21, 10, 20), OutOfRange::truncated);
  EXPECT_EQ(judge(1, 0, 0), OutOfRange::truncated);
}

TEST(Errors, AreNamed) {
  EXPECT_EQ(protocol_error_name(0), "NONE");
  EXPECT_EQ(protocol_error_name(25), "UNKNOWN_MEMBER_ID");
  EXPECT_NE(protocol_error_name(12345).find("12345"), std::string::npos);
}

}  // namespace
}  // namespace lifeboat::kafka
