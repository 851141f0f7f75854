#include "store/s3_answers.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <functional>
#include <optional>

namespace lifeboat::store {
namespace {

S3Response answer(int status, const std::string& code = "", const std::string& message = "") {
  S3Response response;
  response.status = status;
  if (!code.empty()) {
    response.body = "<?xml version=\"1.0\"?><Error><Code>" + code + "</Code><Message>" + message +
                    "</Message></Error>";
  }
  return response;
}

struct Case {
  const char* name;
  S3Response response;
  Code code;
  const char* says;
  const char* hint;
};

class S3Errors : public testing::TestWithParam<Case> {};

TEST_P(S3Errors, SayWhatToDoNext) {
  auto error = s3_error(GetParam().response, "object x in s3://b", "cannot read");
  EXPECT_EQ(error.code(), GetParam().code);
  EXPECT_EQ(error.subject(), "object x in s3://b");
  EXPECT_TRUE(error.message().starts_with("cannot read")) << error.message();
  EXPECT_NE(error.message().find(GetParam().says), std::string::npos) << error.message();
  EXPECT_NE(error.hint().find(GetParam().hint), std::string::npos) << error.hint();
}

S3Response none(const std::string& failure, bool timed_out = false) {
  S3Response response;
  response.failure = failure;
  response.timed_out = timed_out;
  return response;
}

INSTANTIATE_TEST_SUITE_P(
    Table, S3Errors,
    testing::Values(
        Case{"bucket", answer(404, "NoSuchBucket"), Code::not_found, "bucket does not exist",
             "make the bucket"},
        Case{"key", answer(403, "InvalidAccessKeyId"), Code::denied, "access key", "access key"},
        Case{"secret", answer(403, "SignatureDoesNotMatch"), Code::denied, "secret key is wrong",
             "secret key"},
        Case{"expired", answer(400, "ExpiredToken"), Code::denied, "expired", "session token"},
        Case{"clock", answer(403, "RequestTimeTooSkewed", "too large"), Code::denied, "clock",
             "NTP"},
        Case{"permission", answer(403, "AccessDenied", "no s3:PutObject"), Code::denied,
             "no s3:PutObject", "s3:PutObject"},
        Case{"head", answer(403), Code::denied, "S3 says 403", "s3:GetObject"},
        Case{"region", answer(400, "AuthorizationHeaderMalformed"), Code::config, "another region",
             "region"},
        Case{"conflict", answer(409, "ConditionalRequestConflict"), Code::unavailable,
             "another write", "try again"},
        Case{"slow", answer(503, "SlowDown"), Code::unavailable, "busy", "try again"},
        Case{"broken", answer(500, "InternalError"), Code::unavailable, "failed", "try again"},
        Case{"odd", answer(418, "Teapot", "short & stout"), Code::failed, "Teapot", "try again"},
        Case{"quota", answer(403, "QuotaExceeded"), Code::no_space, "quota", "quota"},
        Case{"full", answer(507), Code::no_space, "full", "room"},
        Case{"refused", none("socket connection refused. (AWS_IO_SOCKET_CONNECTION_REFUSED)"),
             Code::unavailable, "refused", "endpoint"},
        Case{"timeout", none("socket timeout. (AWS_IO_SOCKET_TIMEOUT)"), Code::timeout, "in time",
             "network"},
        Case{"cancelled", none("canceled. (AWS_ERROR_S3_CANCELED)", true), Code::timeout, "in time",
             "network"},
        Case{"keyless", none("no credentials. (AWS_AUTH_SIGNING_NO_CREDENTIALS)"), Code::denied,
             "no credentials", "AWS_ACCESS_KEY_ID"},
        Case{"tls", none("TLS (SSL) negotiation failed (AWS_IO_TLS_ERROR_NEGOTIATION_FAILURE)"),
             Code::unavailable, "secure", "ca"}),
    [](const auto& one) { return std::string(one.param.name); });

TEST(S3Answers, ARegionThatTheServerNamesIsInTheHint) {
  auto response = answer(301, "PermanentRedirect");
  response.headers["x-amz-bucket-region"] = "eu-west-3";
  EXPECT_EQ(s3_error(response, "x", "y").hint(),
            "write `s3: {region: eu-west-3}` into lifeboat.yaml");
}

TEST(S3Answers, AnErrorInsideA200) {
  auto response = answer(200, "InternalError", "again");
  response.failure = "response in 200 (AWS_ERROR_S3_INTERNAL_ERROR)";
  EXPECT_FALSE(response.ok());
  EXPECT_EQ(s3_error(response, "x", "y").message(), "y (S3 says 200 InternalError, again)");
}

constexpr const char* kNothing =
    "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";

TEST(S3Answers, AListingIsRead) {
  auto listing = parse_listing(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
      "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>b</Name>"
      "<NextContinuationToken>a&amp;b=</NextContinuationToken><IsTruncated>true</IsTruncated>"
      "<Contents><Key>p/a%2Fb</Key><Size>12</Size><ETag>&quot;e1&quot;</ETag></Contents>"
      "<Contents><ETag>\"e2\"</ETag><Size>0</Size><Key>p/c</Key><Owner><ID>x</ID></Owner></"
      "Contents>"
      "</ListBucketResult>",
      "s3://b");
  ASSERT_EQ(listing.objects.size(), 2u);
  EXPECT_EQ(listing.next, "a&b=");
  EXPECT_EQ(listing.objects[0].name, "p/a/b");
  EXPECT_EQ(listing.objects[0].size, ByteCount(12));
  EXPECT_EQ(listing.objects[0].version, "e1");
  EXPECT_EQ(listing.objects[1].name, "p/c");
  EXPECT_EQ(listing.objects[1].version, "e2");
  EXPECT_EQ(parse_listing(kNothing, "x").next, "");
}

TEST(S3Answers, WhatIsNoListingIsCorrupt) {
  for (const char* xml :
       {"", "hello", "<html><body>login</body></html>",
        "<ListBucketResult><Contents><Key>a</Key></Contents></ListBucketResult>",
        "<ListBucketResult><Contents><Key>a</Key><Size>-1</Size></Contents></ListBucketResult>",
        "<ListBucketResult><Contents><Size>1</Size></Contents></ListBucketResult>"}) {
    try {
      parse_listing(xml, "s3://b");
      FAIL() << xml;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::corrupt) << xml;
    }
  }
}

std::optional<Code> code_of(const std::function<void()>& parse) {
  try {
    parse();
  } catch (const Error& error) {
    return error.code();
  }
  return std::nullopt;
}

// What is not listed would be taken for gone.
TEST(S3Answers, AListingThatIsCutOffIsNone) {
  const std::string listing =
      "<?xml version=\"1.0\" "
      "encoding=\"UTF-8\"?>\n<ListBucketResult><Name>b</Name><IsTruncated>false"
      "</IsTruncated><Contents><Key>p/a</Key><Size>12</Size><ETag>\"e1\"</ETag></"
      "Contents><Contents>"
      "<Key>p/b</Key><Size>3</Size><ETag>\"e2\"</ETag></Contents></ListBucketResult>";
  const std::string versions =
      "<ListVersionsResult><IsTruncated>false</IsTruncated><Version><Key>a</Key><VersionId>v2"
      "</VersionId><LastModified>2026-11-28T17:05:12Z</LastModified><Size>1</Size></Version>"
      "<DeleteMarker><Key>b</Key><VersionId>v1</VersionId><LastModified>2026-11-28T17:05:12Z"
      "</LastModified></DeleteMarker></ListVersionsResult>";
  EXPECT_EQ(parse_listing(listing, "x").objects.size(), 2u);
  EXPECT_EQ(parse_versions(versions, "x").versions.size(), 2u);
  const auto root_ends = listing.find("<Name>");
  for (std::size_t size = 0; size < listing.size(); ++size) {
    const auto code = code_of([&] { parse_listing(listing.substr(0, size), "x"); });
    EXPECT_EQ(code, size < root_ends ? Code::corrupt : Code::unavailable)
        << listing.substr(0, size);
  }
  for (std::size_t size = 0; size < versions.size(); ++size) {
    EXPECT_TRUE(code_of([&] { parse_versions(versions.substr(0, size), "x"); })) << size;
  }
}

TEST(S3Answers, AListingSaysWhetherItIsWhole) {
  for (const char* says : {"", "<IsTruncated></IsTruncated>", "<IsTruncated>true</IsTruncated>"}) {
    EXPECT_EQ(code_of([&] {
                parse_listing(fmt::format("<ListBucketResult>{}</ListBucketResult>", says), "x");
              }),
              Code::corrupt)
        << says;
    EXPECT_EQ(code_of([&] {
                parse_versions(fmt::format("<ListVersionsResult>{}</ListVersionsResult>", says),
                               "x");
              }),
              Code::corrupt)
        << says;
  }
}

TEST(S3Answers, AListingOfVersionsIsRead) {
  const auto page = parse_versions(
      "<ListVersionsResult><Name>b</Name><IsTruncated>true</IsTruncated><NextKeyMarker>p/a%2Fb</"
      "NextKeyMarker>"
      "<NextVersionIdMarker>v0</NextVersionIdMarker>"
      "<DeleteMarker><Key>p/a%2Fb</Key><VersionId>v2</VersionId><IsLatest>true</IsLatest>"
      "<LastModified>2026-11-28T17:05:12Z</LastModified></DeleteMarker>"
      "<Version><Key>p/a%2Fb</Key><VersionId>v1</VersionId><IsLatest>false</IsLatest>"
      "<LastModified>2026-11-28T17:05:11.000Z</LastModified><ETag>\"e1\"</ETag><Size>12</Size>"
      "</Version></ListVersionsResult>",
      "s3://b");
  ASSERT_EQ(page.versions.size(), 2u);
  EXPECT_EQ(page.next_key, "p/a/b");
  EXPECT_EQ(page.next_version, "v0");
  EXPECT_TRUE(page.versions[0].is_marker);
  EXPECT_EQ(page.versions[0].id, "v2");
  EXPECT_EQ(page.versions[0].modified, parse_timestamp("2026-11-28T17:05:12Z"));
  EXPECT_FALSE(page.versions[1].is_marker);
  EXPECT_EQ(page.versions[1].info.name, "p/a/b");
  EXPECT_EQ(page.versions[1].info.size, ByteCount(12));
  EXPECT_EQ(page.versions[1].info.version, "e1");
  const char* nothing = "<ListVersionsResult><IsTruncated>false</IsTruncated></ListVersionsResult>";
  EXPECT_TRUE(parse_versions(nothing, "x").next_key.empty());
}

TEST(S3Answers, WhatIsNoListingOfVersionsIsCorrupt) {
  const std::string begin = "<ListVersionsResult><IsTruncated>false</IsTruncated><Version>";
  const std::string whole =
      "<Key>a</Key><VersionId>v</VersionId><LastModified>2026-11-28T17:05:12Z</LastModified>"
      "<Size>1</Size>";
  EXPECT_NO_THROW(parse_versions(begin + whole + "</Version></ListVersionsResult>", "s3://b"));
  for (const char* part : {"<Key>a</Key>", "<VersionId>v</VersionId>", "<Size>1</Size>",
                           "<LastModified>2026-11-28T17:05:12Z</LastModified>"}) {
    auto without = whole;
    without.erase(without.find(part), std::string(part).size());
    EXPECT_THROW(parse_versions(begin + without + "</Version></ListVersionsResult>", "s3://b"),
                 Error)
        << part;
  }
  EXPECT_THROW(parse_versions("<ListBucketResult></ListBucketResult>", "s3://b"), Error);
}

TEST(S3Answers, WhatALockLooksLike) {
  const auto time = parse_timestamp("2026-11-28T17:05:11.001Z").value();
  EXPECT_EQ(lock_date(time), "2026-11-28T17:05:12Z");  // never shorter than asked for
  EXPECT_EQ(lock_date(time + -1), "2026-11-28T17:05:11Z");
  const auto document = retention_document(ObjectLock::Mode::governance, time);
  EXPECT_EQ(xml_text(document, "Mode"), "GOVERNANCE");
  EXPECT_EQ(xml_text(document, "RetainUntilDate"), "2026-11-28T17:05:12Z");
  EXPECT_EQ(lock_mode(ObjectLock::Mode::compliance), "COMPLIANCE");
}

TEST(S3Answers, TextOfAnElement) {
  EXPECT_EQ(xml_text("<A><B>x &lt; y</B><C>z</C></A>", "B"), "x < y");
  EXPECT_EQ(xml_text("<A><B>x</B></A>", "D"), "");
  EXPECT_EQ(xml_text("no xml", "B"), "");
  EXPECT_EQ(xml_text("", "B"), "");
}

TEST(S3Answers, Sizes) {
  S3Response response;
  response.headers["content-length"] = "8";
  EXPECT_EQ(whole_size(response, "x"), ByteCount(8));
  response.headers["content-range"] = "bytes 0-7/1000";
  EXPECT_EQ(whole_size(response, "x"), ByteCount(1000));
  for (const char* wrong : {"bytes 0-7/*", "bytes", "/", "bytes 0-7/-1"}) {
    response.headers["content-range"] = wrong;
    EXPECT_THROW(whole_size(response, "x"), Error) << wrong;
  }
}

TEST(S3Answers, PartsAreListedInOrder) {
  auto document = complete_document({"e1", "e2"});
  EXPECT_NE(document.find("<PartNumber>1</PartNumber><ETag>\"e1\"</ETag>"), std::string::npos);
  EXPECT_LT(document.find("e1"), document.find("<PartNumber>2</PartNumber>"));
}

}  // namespace
}  // namespace lifeboat::store
