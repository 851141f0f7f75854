// What only S3 has: places, credentials, pages, requests that reach the server twice.
#include "store/s3_store.hpp"

#include <gtest/gtest.h>
#include <httplib.h>

#include <atomic>
#include <thread>

#include "base/cancel.hpp"
#include "base/error.hpp"
#include "s3_fixture.hpp"
#include "store/s3_region.hpp"
#include "store_fixture.hpp"
#include "support/variable.hpp"

namespace lifeboat::store {
namespace {

using test::Variable;

Error error_of(const S3Location& place) {
  try {
    S3Store store(place);
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "nothing thrown";
  return {Code::failed, "", ""};
}

TEST(S3Store, WhatIsWrongWithThePlaceIsSaid) {
  const auto right = s3_place("seaweedfs");
  auto place = right;
  place.bucket = "not-there";
  auto error = error_of(place);
  EXPECT_EQ(error.code(), Code::not_found) << error.what();
  EXPECT_NE(std::string(error.what()).find("bucket does not exist"), std::string::npos);

  place = right;
  place.profile = "s3proxy";  // a key that this server does not know
  error = error_of(place);
  EXPECT_EQ(error.code(), Code::denied) << error.what();

  place = right;
  place.profile = "wrong-secret";
  error = error_of(place);
  EXPECT_EQ(error.code(), Code::denied) << error.what();
  EXPECT_NE(error.hint().find("secret key"), std::string::npos);

  place = right;
  place.profile = "nobody";
  error = error_of(place);
  EXPECT_EQ(error.code(), Code::denied) << error.what();
  EXPECT_NE(error.hint().find("AWS_ACCESS_KEY_ID"), std::string::npos) << error.what();

  place = right;
  place.endpoint = "http://127.0.0.1:9";
  error = error_of(place);
  EXPECT_EQ(error.code(), Code::unavailable) << error.what();

  place = right;
  place.ca = "/dev/null/none";
  error = error_of(place);
  EXPECT_EQ(error.code(), Code::config) << error.what();
}

TEST(S3Store, ByTlsWithAnAuthorityOfOnesOwn) {
  const auto server = s3_server("seaweedfs");
  const auto folder = server.at("certificates").get<std::string>();
  auto place = s3_place("seaweedfs");
  place.endpoint = server.at("https_endpoint");
  place.ca = folder + "/ca.pem";
  S3Store store(place);
  const std::string bytes(20'000'000, 'x');
  EXPECT_EQ(store.put_if_absent("x", bytes), PutResult::written);
  EXPECT_EQ(store.get("x"), bytes);
}

TEST(S3Store, ARegionIsNeeded) {
  S3Location place;
  place.bucket = "bucket";
  ::unsetenv("AWS_REGION");
  ::unsetenv("AWS_DEFAULT_REGION");
  EXPECT_EQ(error_of(place).code(), Code::config);
}

TEST(S3Store, TheRegionIsThatOfTheProfile) {
  s3_server("seaweedfs");  // from here on AWS's files are those of the tests
  TemporaryDirectory folder;
  const auto config = folder.path() / "config";
  std::ofstream(config) << "[default]\nregion = eu-west-3\n[profile other]\nregion = us-west-2\n"
                           "[profile none]\noutput = json\n";
  Variable file("AWS_CONFIG_FILE", config);
  Variable region("AWS_REGION", std::nullopt), older("AWS_DEFAULT_REGION", std::nullopt);
  S3Location place;
  place.bucket = "bucket";
  EXPECT_EQ(region_of(place), "eu-west-3");
  place.profile = "other";
  EXPECT_EQ(region_of(place), "us-west-2");
  place.profile = "none";
  EXPECT_THROW(region_of(place), Error);
  place.endpoint = "http://127.0.0.1:1";
  EXPECT_EQ(region_of(place), "us-east-1");
  Variable from_environment("AWS_REGION", "eu-north-1");
  EXPECT_EQ(region_of(place), "eu-north-1");
  place.region = "ap-east-1";
  EXPECT_EQ(region_of(place), "ap-east-1");
}

// A peer that takes connections and says nothing.
TEST(S3Store, AServerThatNeverAnswersIsGivenUp) {
  auto place = s3_place("seaweedfs");
  place.retry_for = Millis(0);
  httplib::Server silent;
  std::atomic<bool> over = false;
  silent.set_pre_routing_handler([&](const httplib::Request&, httplib::Response&) {
    while (!over) Cancel().sleep_for(Millis(20));
    return httplib::Server::HandlerResponse::Handled;
  });
  place.endpoint = "http://127.0.0.1:" + std::to_string(silent.bind_to_any_port("127.0.0.1"));
  std::thread serving([&] { silent.listen_after_bind(); });
  const auto error = error_of(place);
  over = true;
  silent.stop();
  serving.join();
  EXPECT_EQ(error.code(), Code::timeout) << error.what();
  EXPECT_NE(std::string(error.what()).find("longer than 10 s"), std::string::npos) << error.what();
}

TEST(S3Store, PrefixesDoNotSeeEachOther) {
  auto place = s3_place("seaweedfs");
  S3Store one(place);
  const auto other = place.prefix + "-more";
  place.prefix = other;
  S3Store two(place);
  place.prefix = "";
  S3Store root(place);
  one.put("a", "1");
  two.put("a", "2");
  EXPECT_EQ(one.get("a"), "1");
  EXPECT_EQ(root.get(other + "/a"), "2");
  std::vector<std::string> names;
  one.list("", [&](const ObjectInfo& info) { names.push_back(info.name); });
  EXPECT_EQ(names, std::vector<std::string>{"a"});
}

class Servers : public testing::TestWithParam<const char*> {};

TEST_P(Servers, ListsMoreThanOnePage) {
  S3Store store(s3_place(GetParam()));
  constexpr int kObjects = 1100;  // a page has 1000
  for (int i = 0; i < kObjects; ++i) store.put("many/" + std::to_string(i), "");
  int seen = 0;
  std::string last;
  store.list("many/", [&](const ObjectInfo& info) {
    EXPECT_LT(last, info.name);
    last = info.name;
    ++seen;
  });
  EXPECT_EQ(seen, kObjects);
}

// The same request twice, as after an answer that was lost: the second is told 412 or the like, and
// finds its mark.
TEST_P(Servers, AWriteIsKnownByItsMark) {
  const auto place = s3_place(GetParam());
  S3Store store(place);
  S3Client client(place);
  S3Request request;
  request.operation = "PutObject";
  request.method = "PUT";
  request.key = place.prefix + "/x";
  request.headers = {{"If-None-Match", "*"}, {"x-amz-meta-lifeboat-write", "mark-1"}};
  request.body = "content";
  EXPECT_EQ(client.send(request).status, 200);
  EXPECT_EQ(client.send(request).status, 412);
  request.operation = "HeadObject";
  request.method = "HEAD";
  request.headers.clear();
  request.body = {};
  EXPECT_EQ(client.send(request).header("x-amz-meta-lifeboat-write"), "mark-1");
  EXPECT_EQ(store.put_if_absent("x", "content"), PutResult::exists);  // the same bytes of another
}

INSTANTIATE_TEST_SUITE_P(All, Servers, testing::Values("seaweedfs", "s3proxy"),
                         [](const auto& one) { return std::string(one.param); });

}  // namespace
}  // namespace lifeboat::store
