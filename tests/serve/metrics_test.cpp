#include "serve/metrics.hpp"

#include <gtest/gtest.h>
#include <httplib.h>

#include "base/error.hpp"
#include "store/memory_store.hpp"

namespace lifeboat::serve {
namespace {

recovery::ArchiveStatus status() {
  recovery::ArchiveStatus out;
  out.logs.push_back({"kafka/c/t/a\"b/0", Position(12), Position(10), Position(15)});
  out.written = ByteCount(77);
  out.objects = 3;
  return out;
}

bool has(const std::string& text, const std::string& line) {
  return text.find("\n" + line + "\n") != std::string::npos;
}

TEST(Metrics, SayWhatIsKnown) {
  Watched watched;
  watched.logs.push_back({"kafka/c/t/x/0", 2, 40});
  recovery::PartitionLeft one{{"c", "t", "x", PartitionId(0)}, {}, {}};
  one.left = {recovery::TimeLeft::Kind::known, 90};
  one.facts.oldest = Timestamp(4000);
  watched.partitions.push_back(one);
  one.log.partition = PartitionId(1);
  one.left = {recovery::TimeLeft::Kind::caught_up, 0};
  watched.partitions.push_back(one);
  watched.points = 4;
  watched.newest_point = Timestamp(1000);
  watched.newest_proof.existence = Timestamp(8000);
  watched.newest_proof.sample = Timestamp(4000);
  watched.at = Timestamp(9000);
  auto text = metrics_text(status(), watched, Timestamp(10'000));
  EXPECT_TRUE(has(text, R"(lifeboat_log_durable{log="kafka/c/t/a\"b/0"} 10)")) << text;
  EXPECT_TRUE(has(text, R"(lifeboat_log_lag{log="kafka/c/t/a\"b/0"} 5)")) << text;
  EXPECT_TRUE(has(text, "lifeboat_logbook_written_objects_total 3")) << text;
  EXPECT_TRUE(has(text, R"(lifeboat_log_gaps{log="kafka/c/t/x/0"} 2)")) << text;
  EXPECT_TRUE(has(text, R"(lifeboat_log_missing{log="kafka/c/t/x/0"} 40)")) << text;
  EXPECT_TRUE(has(text, R"(lifeboat_log_retention_left_seconds{log="kafka/c/t/x/0"} 90)")) << text;
  EXPECT_TRUE(has(text, R"(lifeboat_log_retention_left_seconds{log="kafka/c/t/x/1"} +Inf)"))
      << text;
  EXPECT_TRUE(has(text, R"(lifeboat_log_lag_seconds{log="kafka/c/t/x/0"} 6)")) << text;
  EXPECT_TRUE(has(text, "lifeboat_newest_point_age_seconds 9")) << text;
  EXPECT_TRUE(has(text, R"(lifeboat_newest_point_proven_age_seconds{depth="existence"} 2)"))
      << text;
  EXPECT_TRUE(has(text, R"(lifeboat_newest_point_proven_age_seconds{depth="sample"} 6)")) << text;
  EXPECT_EQ(text.find("depth=\"data\""), std::string::npos) << text;
  EXPECT_TRUE(has(text, "lifeboat_newest_point_failed 0")) << text;
  EXPECT_TRUE(has(text, "lifeboat_vault_failing 0")) << text;
  watched.newest_proof.open =
      vault::Outcome{Timestamp(9000), vault::Depth::data, vault::Verdict::failed, "why"};
  EXPECT_TRUE(
      has(metrics_text(status(), watched, Timestamp(10'000)), "lifeboat_newest_point_failed 1"));
  EXPECT_EQ(text.find("lifeboat_verify_"), std::string::npos) << text;
  vault::Proof run;
  run.finished = Timestamp(7000);
  run.damages.resize(2);
  run.unchecked.resize(1);
  watched.verify = run;
  watched.failed_points = 3;
  text = metrics_text(status(), watched, Timestamp(10'000));
  for (const char* line : {"lifeboat_verify_age_seconds 3", "lifeboat_verify_damages 2",
                           "lifeboat_verify_unchecked 1", "lifeboat_failed_points 3"}) {
    EXPECT_TRUE(has(text, line)) << line << "\n" << text;
  }
  // Before anything was looked at, nothing is said of it.
  EXPECT_EQ(metrics_text(status(), std::nullopt, Timestamp(0)).find("points"), std::string::npos);
}

TEST(Metrics, TellWhatWentThroughTheStore) {
  store::MeteredStore store(std::make_unique<store::MemoryStore>());
  store.put("a", "12345");
  store.get("a");
  store.get("none");
  auto text = traffic_text(store.traffic());
  for (const char* line : {"# TYPE lifeboat_store_calls_total counter\n",
                           "lifeboat_store_calls_total{call=\"get\"} 2\n",
                           "lifeboat_store_calls_total{call=\"list\"} 0\n",
                           "lifeboat_store_failures_total{call=\"put\"} 0\n",
                           "lifeboat_store_sent_bytes_total{call=\"put\"} 5\n",
                           "lifeboat_store_received_bytes_total{call=\"get\"} 5\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
  }
}

TEST(Metrics, AreServedUntilTheEnd) {
  int port = 0;
  {
    MetricsServer server("127.0.0.1:0", [] { return std::string("lifeboat 1\n"); });
    port = server.port();
    httplib::Client client("127.0.0.1", port);
    auto answer = client.Get("/metrics");
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->body, "lifeboat 1\n");
    EXPECT_EQ(client.Get("/other")->status, 404);
    try {
      MetricsServer second("127.0.0.1:" + std::to_string(port), [] { return std::string(); });
      ADD_FAILURE() << "two listen on one port";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::failed);
    }
  }
  EXPECT_FALSE(httplib::Client("127.0.0.1", port).Get("/metrics"));
  for (const char* bad : {"", "here", "127.0.0.1:", "127.0.0.1:99999"}) {
    EXPECT_THROW(MetricsServer(bad, [] { return std::string(); }), Error) << bad;
  }
}

}  // namespace
}  // namespace lifeboat::serve
