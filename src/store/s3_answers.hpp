#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "store/object_store.hpp"
#include "store/s3_client.hpp"

// What S3's answers mean: from values to values.
namespace lifeboat::store {

// One page of ListObjectsV2, keys decoded.
struct S3Listing {
  std::vector<ObjectInfo> objects;  // their names are whole keys
  std::string next;                 // token of the next page; empty: this was the last
};
// Error(corrupt) when it is no such answer, or does not say whether more follows and where;
// Error(unavailable) when it is cut off.
S3Listing parse_listing(const std::string& xml, const std::string& subject);

// One page of ListObjectVersions, keys decoded.
struct S3Version {
  ObjectInfo info;  // its name is the whole key; of a delete marker only that
  std::string id;
  Timestamp modified;
  bool is_marker = false;
};
struct S3Versions {
  std::vector<S3Version> versions;
  std::string next_key;  // where the next page begins; empty: this was the last
  std::string next_version;
};
// Errors as of parse_listing().
S3Versions parse_versions(const std::string& xml, const std::string& subject);

// "2026-11-28T17:06:11Z": the first whole second that is not earlier, as Object Lock takes it.
std::string lock_date(Timestamp time);
// The body of PutObjectRetention.
std::string retention_document(ObjectLock::Mode mode, Timestamp until);
std::string lock_mode(ObjectLock::Mode mode);  // "COMPLIANCE"

// The text of the first element of this name below the root (or the root's, when it has that name
// itself); empty without one, or when it is no XML.
std::string xml_text(const std::string& xml, const std::string& element);

// The body of CompleteMultipartUpload.
std::string complete_document(const std::vector<std::string>& etags);

// "abc" and &quot;abc&quot; without the quotes.
std::string plain_etag(std::string_view etag);

// The size of the whole object: of Content-Range ("bytes 0-7/1000"), else Content-Length.
ByteCount whole_size(const S3Response& response, const std::string& subject);

// Why a request did not do what it was to do, and what to do next. `subject` names the object or
// the bucket, `doing` what was tried ("cannot read"). Codes: unavailable and timeout are worth
// another try, all others are not.
Error s3_error(const S3Response& response, const std::string& subject, const std::string& doing);

}  // namespace lifeboat::store
