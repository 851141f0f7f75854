#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <sstream>

#include "base/error.hpp"
#include "kafka/admin.hpp"
#include "kafka/broker_tools.hpp"
#include "kafka/cluster.hpp"
#include "kafka/connection.hpp"
#include "kafka/group_hold.hpp"
#include "kafka/kraft_stack.hpp"
#include "kafka/protocol.hpp"
#include "kafka/raw_producer.hpp"
#include "kafka/record_batch.hpp"

namespace lifeboat::kafka::test {
namespace {

// What is logged while it lives.
class Heard {
 public:
  explicit Heard(spdlog::level::level_enum level) {
    spdlog::set_default_logger(std::make_shared<spdlog::logger>(
        "heard", std::make_shared<spdlog::sinks::ostream_sink_mt>(said_)));
    spdlog::set_level(level);
  }
  ~Heard() { end(); }
  Heard(const Heard&) = delete;
  Heard& operator=(const Heard&) = delete;
  std::string end() {
    spdlog::set_default_logger(before_);
    spdlog::set_level(spdlog::level::info);
    return said_.str();
  }

 private:
  std::ostringstream said_;
  std::shared_ptr<spdlog::logger> before_ = spdlog::default_logger();
};

class RealSecurity : public testing::TestWithParam<std::string> {
 protected:
  nlohmann::json facts = kraft_stack(GetParam()).info()["kafka"];
  Config plain = config_of(kraft_stack(GetParam()));

  std::string file(const std::string& name) const {
    return facts["certificates"].get<std::string>() + "/" + name;
  }
  Config at(const std::string& listener) const {
    Config config = plain;
    config.request_timeout = Millis(20000);
    config.bootstrap = {"127.0.0.1:" + std::to_string(facts["ports"][listener].get<int>())};
    return config;
  }
  TlsConfig trusting() const { return {.ca = file("ca.pem")}; }
  TlsConfig mutual() const {
    return {.ca = file("ca.pem"), .cert = file("client.crt"), .key = file("client.key")};
  }
  SaslConfig user(SaslMechanism mechanism) const {
    return {mechanism, facts["user"].get<std::string>(), facts["password"].get<std::string>()};
  }

  // All that Lifeboat does with Kafka: topics by librdkafka, Fetch, Produce, groups.
  void works(const Config& config) {
    Admin admin(config, Clock::real());
    const TopicPartition from{fresh_name("secure"), PartitionId(0)};
    const TopicPartition to{from.topic + "-again", PartitionId(0)};
    for (const auto& tp : {from, to}) admin.create_topic(tp.topic, 1, 1, {});
    produce(plain, from, {.records = 500, .per_batch = 50, .text = std::string(2000, 't')});
    const auto log = fetch_all(config, from);
    EXPECT_GT(log.size(), 1000000u);

    RawProducer producer(config, Clock::real());
    for (const auto& batch : split_batches(log).batches) {
      producer.produce(to, std::string(batch.bytes()), {});
    }
    producer.flush(Cancel());
    EXPECT_EQ(consume(plain, from), consume(plain, to));

    admin.alter_offsets(from.topic, {{from, Offset(7)}});
    EXPECT_EQ(admin.committed(from.topic).at(from), Offset(7));
    EXPECT_TRUE(admin.delete_topic(to.topic));
  }

  std::string fetch_all(const Config& config, const TopicPartition& tp) {
    const auto end = Cluster(config, Clock::real()).offsets({tp}).at(tp).high_watermark;
    RememberingSink sink;
    RunningFetcher fetcher(config, tp.topic, sink);
    EXPECT_TRUE(wait_until([&] { return sink.reached(tp, end); }));
    return sink.log(tp)->bytes;
  }

  // The same refusal by our own connection and through librdkafka's.
  void is_refused(Config config, Code code, const std::string& message, const std::string& hint) {
    config.request_timeout = Millis(4000);
    try {
      Cluster(config, Clock::real()).metadata();
      FAIL() << "let in: " << message;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      EXPECT_EQ(error.subject(), config.bootstrap.front());
      EXPECT_NE(std::string(error.what()).find(message), std::string::npos) << error.what();
      EXPECT_NE(error.hint().find(hint), std::string::npos) << error.hint();
      expect_no_secret(error.what() + error.hint());
    }
  }
  void expect_no_secret(const std::string& text) {
    for (const std::string secret : {facts["password"], facts["key_password"]}) {
      EXPECT_EQ(text.find(secret), std::string::npos) << text;
    }
  }
};

TEST_P(RealSecurity, ByTlsWithACertificateOfOurOwn) {
  auto config = at("SSL");
  config.tls = mutual();
  works(config);
}

TEST_P(RealSecurity, ByTlsWithALockedKey) {
  auto config = at("SSL");
  config.tls = mutual();
  config.tls->key = file("client.locked.key");
  config.tls->key_password = facts["key_password"];
  EXPECT_EQ(Cluster(config, Clock::real()).metadata().brokers.size(), 1u);
  EXPECT_NO_THROW(Admin(config, Clock::real()).list_groups());
  config.tls->key_password = "wrong";
  EXPECT_THROW(Cluster(config, Clock::real()).metadata(), Error);
}

TEST_P(RealSecurity, ByEachMechanismOfSasl) {
  for (const auto mechanism :
       {SaslMechanism::plain, SaslMechanism::scram_sha_256, SaslMechanism::scram_sha_512}) {
    SCOPED_TRACE(to_string(mechanism));
    auto config = at("SASL_PLAINTEXT");
    config.sasl = user(mechanism);
    EXPECT_NO_THROW(Admin(config, Clock::real()).list_groups());
    const TopicPartition tp{fresh_name("mechanism"), PartitionId(0)};
    Admin(config, Clock::real()).create_topic(tp.topic, 1, 1, {});
    produce(plain, tp, {.records = 20});
    EXPECT_FALSE(fetch_all(config, tp).empty());
  }
}

TEST_P(RealSecurity, BySaslOverTls) {
  auto config = at("SASL_SSL");
  config.tls = trusting();
  config.sasl = user(SaslMechanism::scram_sha_512);
  works(config);
}

// The listener hangs up 6 s after a login on who has not logged in again (KIP-368). All of it goes
// on for longer than two sessions, over the same connections.
constexpr Millis kSessions{14000};

TEST_P(RealSecurity, AConnectionOutlivesItsSession) {
  std::vector<std::unique_ptr<Connection>> connections;
  std::vector<std::unique_ptr<Connection>> silent;
  for (const auto mechanism :
       {SaslMechanism::plain, SaslMechanism::scram_sha_256, SaslMechanism::scram_sha_512}) {
    auto config = at("BRIEF");
    config.sasl = user(mechanism);
    const auto broker = parse_address(config.bootstrap.front());
    for (auto* list : {&connections, &silent}) {
      list->push_back(std::make_unique<Connection>(broker.host, broker.port, config));
    }
  }
  const auto end = Deadline::after(kSessions);
  const auto ask = [](Connection& connection) {
    EXPECT_NO_THROW(connection.call(metadata_request("test"))) << connection.name();
  };
  while (!end.passed() && !HasFailure()) {
    for (auto& connection : connections) ask(*connection);
    Cancel().sleep_for(Millis(100));
  }
  for (auto& connection : silent) ask(*connection);  // whose session is long over
}

TEST_P(RealSecurity, FetchProduceAndAHoldGoOnOverTheEndsOfSessions) {
  auto config = at("BRIEF");
  config.sasl = user(SaslMechanism::scram_sha_512);
  const TopicPartition from{fresh_name("sessions"), PartitionId(0)};
  const TopicPartition to{from.topic + "-again", PartitionId(0)};
  Admin admin(config, Clock::real());
  for (const auto& tp : {from, to}) admin.create_topic(tp.topic, 1, 1, {});
  produce(plain, from, {.records = 1});
  const auto batch = fetch_all(plain, from);

  Heard heard(spdlog::level::warn);
  GroupHold hold(config, from.topic, {from.topic}, EvictOthers::no, Cancel(),
                 Deadline::after(Millis(60000)), Clock::real());
  RememberingSink sink;
  RunningFetcher fetcher(config, to.topic, sink);
  // Always with requests in flight.
  RawProducer producer(config, Clock::real(), {.max_queued = ByteCount(20 * batch.size())});
  std::int64_t sent = 0;
  for (const auto end = Deadline::after(kSessions); !end.passed(); ++sent) {
    producer.produce(to, batch, {});
  }
  producer.flush(Cancel());
  EXPECT_TRUE(wait_until([&] { return sink.reached(to, Offset(sent)); }));
  EXPECT_EQ(Cluster(config, Clock::real()).offsets({to}).at(to).high_watermark, Offset(sent));
  EXPECT_NO_THROW(hold.check());
  EXPECT_EQ(heard.end(), "") << "no connection was lost";
  std::printf("%s: %lld batches\n", GetParam().c_str(), static_cast<long long>(sent));
}

TEST_P(RealSecurity, AWrongPasswordIsNamedAndNotShown) {
  for (const auto mechanism :
       {SaslMechanism::plain, SaslMechanism::scram_sha_256, SaslMechanism::scram_sha_512}) {
    auto config = at("SASL_PLAINTEXT");
    config.sasl = user(mechanism);
    config.sasl->password += "?";
    is_refused(config, Code::denied, "user lifeboat is not let in", "kafka.sasl");
  }
}

TEST_P(RealSecurity, LibrdkafkasRefusalSaysWhyToo) {
  auto config = at("SASL_PLAINTEXT");
  config.request_timeout = Millis(3000);
  config.sasl = user(SaslMechanism::scram_sha_256);
  config.sasl->password = "another secret";
  Heard heard(spdlog::level::debug);
  try {
    Admin(config, Clock::real()).topic_configs("events");
    ADD_FAILURE() << "let in";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::denied) << error.what();
    EXPECT_EQ(std::string(error.what()).find("another secret"), std::string::npos);
  }
  const auto said = heard.end();
  EXPECT_NE(said.find("librdkafka"), std::string::npos);
  EXPECT_EQ(said.find("another secret"), std::string::npos);
}

TEST_P(RealSecurity, CertificatesThatProveNothingAreRefused) {
  auto config = at("SASL_SSL");
  config.sasl = user(SaslMechanism::plain);
  config.tls = TlsConfig{.ca = file("stranger-ca.pem")};
  is_refused(config, Code::denied, "not trusted", "kafka.tls.ca");
  config.tls = TlsConfig{};  // whom this machine trusts
  is_refused(config, Code::denied, "not trusted", "kafka.tls.ca");

  auto expired = at("EXPIRED");
  expired.tls = trusting();
  is_refused(expired, Code::denied, "expired", "renew");
  expired.tls->verify_hostname = false;
  is_refused(expired, Code::denied, "expired", "renew");

  auto elsewhere = at("ELSEWHERE");
  elsewhere.tls = trusting();
  is_refused(elsewhere, Code::denied, "another host", "verify_hostname");
  elsewhere.tls->verify_hostname = false;
  EXPECT_NO_THROW(Cluster(elsewhere, Clock::real()).metadata());

  auto nobody = at("SSL");
  nobody.tls = trusting();
  is_refused(nobody, Code::denied, "certificate", "kafka.tls.cert");
}

TEST_P(RealSecurity, AListenerOfAnotherKindSaysWhatToChange) {
  is_refused(at("SSL"), Code::config, "speaks TLS", "kafka.tls");
  is_refused(at("SASL_SSL"), Code::config, "speaks TLS", "kafka.tls");
  is_refused(at("SASL_PLAINTEXT"), Code::unavailable, "closed", "kafka.sasl");
  auto config = plain;
  config.tls = trusting();
  is_refused(config, Code::unavailable, "when TLS began", "kafka.tls");
  config = plain;
  config.sasl = user(SaslMechanism::plain);
  is_refused(config, Code::config, "no SASL", "kafka.sasl");
}

TEST_P(RealSecurity, FilesThatCannotBeUsedAreNamed) {
  auto config = at("SSL");
  config.tls = mutual();
  config.tls->ca = file("nowhere.pem");
  const auto expect = [&](const std::string& path, const std::string& key) {
    try {
      Cluster(config, Clock::real()).metadata();
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::config);
      EXPECT_EQ(error.subject(), path);
      EXPECT_NE(error.message().find(key), std::string::npos) << error.message();
    }
  };
  expect(file("nowhere.pem"), "kafka.tls.ca");
  config.tls = mutual();
  config.tls->key = file("expired.key");  // of another certificate
  expect(file("expired.key"), "kafka.tls.key");
  config.tls = mutual();
  config.tls->key = file("client.locked.key");
  expect(file("client.locked.key"), "kafka.tls.key");
}

INSTANTIATE_TEST_SUITE_P(Kraft, RealSecurity, testing::Values("3.9", "4"),
                         [](const auto& kind) { return kind.param == "4" ? "v4" : "v3_9"; });

}  // namespace
}  // namespace lifeboat::kafka::test
