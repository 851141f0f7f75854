// Credentials that a machine or a container hands out. AWS's own services are only inside AWS: here
// a scripted peer speaks their protocols, and hands out what a real S3 server then checks.
// (Environment: tests/cli/test_real_s3.py, web identity: test_real_web_identity.py there; profiles:
// all tests here.)
#include <gtest/gtest.h>
#include <httplib.h>

#include <atomic>
#include <thread>

#include "base/cancel.hpp"
#include "base/error.hpp"
#include "s3_fixture.hpp"
#include "store/s3_store.hpp"
#include "support/variable.hpp"

namespace lifeboat::store {
namespace {

using test::Variable;

struct Key {
  std::string id, secret;
};
Key key_of(const nlohmann::json& facts) {
  return {facts.at("access_key"), facts.at("secret_key")};
}

// The EC2 machine's and the container's service for credentials, on one port.
class Peer {
 public:
  explicit Peer(Key key) : key_(std::move(key)) {
    // Not as a route: the library sends a PUT without a length, of which a route would wait for
    // more.
    server_.set_pre_routing_handler([](const httplib::Request& r, httplib::Response& answer) {
      using Result = httplib::Server::HandlerResponse;
      if (r.method != "PUT" || r.path != "/latest/api/token") return Result::Unhandled;
      if (!r.has_header("x-aws-ec2-metadata-token-ttl-seconds")) answer.status = 400;
      answer.set_header("x-aws-ec2-metadata-token-ttl-seconds", "21600");
      answer.set_content("session-of-the-test", "text/plain");
      return Result::Handled;
    });
    const std::string roles = "/latest/meta-data/iam/security-credentials/";
    server_.Get(roles, [](const httplib::Request& r, httplib::Response& answer) {
      if (r.get_header_value("x-aws-ec2-metadata-token") != "session-of-the-test") {
        answer.status = 401;
        return;
      }
      answer.set_content("lifeboat-role", "text/plain");
    });
    server_.Get(roles + "lifeboat-role", [this](const httplib::Request&, httplib::Response& a) {
      answer(a, "token-of-the-machine");
    });
    server_.Get("/container", [this](const httplib::Request& r, httplib::Response& a) {
      if (r.get_header_value("Authorization") != "let me in") {
        a.status = 403;
        return;
      }
      answer(a, "");
    });
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
  }
  ~Peer() {
    while (!server_.is_running()) std::this_thread::yield();
    server_.stop();
    thread_.join();
  }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  int asked() const { return asked_; }
  void hand_out(Key key, Millis lifetime) {
    std::lock_guard lock(mutex_);
    key_ = std::move(key);
    lifetime_ = lifetime;
  }

 private:
  void answer(httplib::Response& answer, const std::string& token) {
    ++asked_;
    std::lock_guard lock(mutex_);
    nlohmann::json out = {{"Code", "Success"},
                          {"Type", "AWS-HMAC"},
                          {"AccessKeyId", key_.id},
                          {"SecretAccessKey", key_.secret},
                          {"Expiration", to_string(Clock::real().now() + lifetime_.count())}};
    if (!token.empty()) out["Token"] = token;
    answer.set_content(out.dump(), "application/json");
  }

  httplib::Server server_;
  int port_ = 0;
  std::thread thread_;
  std::atomic<int> asked_{0};
  std::mutex mutex_;
  Key key_;
  Millis lifetime_{3'600'000};
};

// A place that nothing but the peer has credentials for.
struct Credentials : ::testing::Test {
  Variable access{"AWS_ACCESS_KEY_ID", std::nullopt};
  Variable secret{"AWS_SECRET_ACCESS_KEY", std::nullopt};
  nlohmann::json seaweedfs = s3_server("seaweedfs");  // before its file is hidden
  nlohmann::json s3proxy = s3_server("s3proxy");
  Variable file{"AWS_SHARED_CREDENTIALS_FILE", "/dev/null"};

  static S3Location place_without_profile(const std::string& server) {
    auto place = s3_place(server);
    place.profile.clear();
    return place;
  }
  static void use(S3Store& store) {
    EXPECT_EQ(store.put_if_absent("x", "content"), PutResult::written);
    EXPECT_EQ(store.get("x"), "content");
  }
};

TEST_F(Credentials, OfTheMachine) {
  Peer peer(key_of(s3proxy));
  Variable on("AWS_EC2_METADATA_DISABLED", "false");
  Variable endpoint("AWS_EC2_METADATA_SERVICE_ENDPOINT", peer.url());
  S3Store store(place_without_profile("s3proxy"));
  use(store);
  EXPECT_EQ(peer.asked(), 1);
}

TEST_F(Credentials, OfTheContainer) {
  Peer peer(key_of(seaweedfs));
  Variable uri("AWS_CONTAINER_CREDENTIALS_FULL_URI", peer.url() + "/container");
  Variable token("AWS_CONTAINER_AUTHORIZATION_TOKEN", "let me in");
  S3Store store(place_without_profile("seaweedfs"));
  use(store);
  EXPECT_EQ(peer.asked(), 1);
}

TEST_F(Credentials, OfAContainerThatIsRefusedAreSaid) {
  Peer peer(key_of(seaweedfs));
  Variable uri("AWS_CONTAINER_CREDENTIALS_FULL_URI", peer.url() + "/container");
  Variable token("AWS_CONTAINER_AUTHORIZATION_TOKEN", "wrong");
  try {
    S3Store store(place_without_profile("seaweedfs"));
    ADD_FAILURE() << "credentials from nowhere";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::denied) << error.what();
    EXPECT_NE(std::string(error.what()).find("no credentials"), std::string::npos) << error.what();
  }
}

// They are fetched anew before they expire: when those that come then are wrong, it is noticed, and
// when right ones come again, it goes on.
TEST_F(Credentials, ThatExpireAreFetchedAnew) {
  constexpr Millis kLifetime{12'000};  // the library asks 10 s before the end
  const auto right = key_of(seaweedfs);
  Peer peer(right);
  peer.hand_out(right, kLifetime);
  Variable uri("AWS_CONTAINER_CREDENTIALS_FULL_URI", peer.url() + "/container");
  Variable token("AWS_CONTAINER_AUTHORIZATION_TOKEN", "let me in");
  S3Store store(place_without_profile("seaweedfs"));
  use(store);
  peer.hand_out({"nobody", "wrong"}, kLifetime);
  auto denied = [&] {
    try {
      store.put("x", "more");
      return false;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::denied) << error.what();
      return true;
    }
  };
  auto until = [&](bool wanted) {
    const auto deadline = Deadline::after(Millis(60'000));
    while (denied() != wanted) {
      if (deadline.passed()) return false;
      Cancel().sleep_for(Millis(100));
    }
    return true;
  };
  EXPECT_TRUE(until(true)) << "the old credentials were used on";
  peer.hand_out(right, kLifetime);
  EXPECT_TRUE(until(false)) << "the new credentials were not fetched";
  EXPECT_GE(peer.asked(), 3);
}

}  // namespace
}  // namespace lifeboat::store
