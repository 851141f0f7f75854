#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/types.hpp"
#include "store/location.hpp"

namespace lifeboat::store {

using S3Fields = std::vector<std::pair<std::string, std::string>>;

struct S3Request {
  std::string operation;  // S3's name of it: "PutObject"
  std::string method;
  std::string key;  // the whole key, prefix included; empty: the bucket itself
  S3Fields query;
  S3Fields headers;
  std::string_view body;                   // must stay until the answer is there
  std::shared_ptr<const std::string> own;  // keeps `body`, when nobody else does
  bool with_md5 = false;                   // Content-MD5, which S3 wants where objects are locked
  ByteCount most{};                        // of the answer: memory is taken at once for up to that
};

struct S3Response {
  int status = 0;                              // 0: there was no answer
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;                            // of an error too
  std::string failure;     // why there was no answer, or none that holds; empty: there was
  bool timed_out = false;  // … within the time for one request

  bool ok() const { return failure.empty() && status >= 200 && status < 300; }
  std::string header(const std::string& name) const {  // "" when there is none
    auto it = headers.find(name);
    return it == headers.end() ? "" : it->second;
  }
};

// Signed requests to one bucket, by AWS's C libraries: connections, credentials, signatures (the
// bodies' SHA-256 included), and a few tries within seconds when the network or the server stumbles
// (500, 503). So a request may reach the server more than once. Thread-safe.
class S3Client {
 public:
  // Error(config) when no region is known, or the CA's file is none; Error(denied) when there is
  // no place at all where credentials could come from. Sends nothing.
  explicit S3Client(const S3Location& place);
  ~S3Client();
  S3Client(const S3Client&) = delete;
  S3Client& operator=(const S3Client&) = delete;

  S3Response send(S3Request request);
  // `count` requests, at most parallel() at a time: make(i) gives the i-th just before it is sent,
  // take(i, response) gets the answer, in any order. Both are called by this thread. After an
  // exception of theirs no further one is sent; those under way are waited for.
  void send_all(std::size_t count, const std::function<S3Request(std::size_t)>& make,
                const std::function<void(std::size_t, S3Response)>& take);

  std::size_t parallel() const;
  const std::string& region() const;

 private:
  struct Library;
  struct Pending;
  std::unique_ptr<Pending> start(S3Request request);
  S3Response finish(Pending& pending);

  std::unique_ptr<Library> library_;
};

inline constexpr const char* kNoCredentialsHint =
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile in ~/.aws, or run on a machine "
    "whose role may use the bucket";

// The size of the parts in which large objects travel.
inline constexpr ByteCount kS3Part{8ull << 20};

}  // namespace lifeboat::store
