#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "store/object_store.hpp"
#include "store/s3_client.hpp"
#include "store/s3_past.hpp"

namespace lifeboat::store {

struct S3Listing;

// Objects below a prefix of an S3 bucket: AWS's, or any server's that speaks S3.
//
// put_if_absent() is a PUT with `If-None-Match: *`, put_if_unchanged() one with `If-Match`; whether
// the server heeds them is not known here (probe.hpp finds out). Each conditional write carries a
// mark of its own in the object's metadata: when the server says that the object is there, or has
// changed, the mark tells whether that is our own write whose answer was lost.
//
// Objects up to two parts (16 MiB) are one PUT; put() and put_parts_if_absent() send larger ones in
// parts, several at a time. Then the condition stands on the last request, CompleteMultipartUpload,
// and the first large put_if_absent() tries whether this server heeds it there; one that does not
// gets the object by one conditional PUT. Uploads that a crash left behind are the bucket's
// business (a lifecycle rule, AbortIncompleteMultipartUpload).
//
// A version is the ETag: an object that gets an earlier content back has that content's version
// again. remove() asks and then deletes: two that remove at once may both have been told `true`.
// Objects in the bucket whose names no store takes are not seen. A listing is read whole before its
// first object is visited: some servers list by folder, not in byte order.
//
// With a lock (S3Location::lock) and a rule, objects are locked by the very request that writes
// them; the bucket must have Object Lock. It keeps versions then: remove() writes a delete marker,
// and the bytes stay until a lifecycle rule or somebody else deletes that version, which nobody can
// before the lock ends. With `as_of` all reads are of the past (s3_past.hpp), and writes are
// refused.
//
// Each call fails with unavailable or timeout after a few tries in some seconds; RetryStore has
// more patience.
class S3Store : public ObjectStore {
 public:
  // Looks into the bucket once. Error(not_found) when it does not exist, Error(denied), …
  explicit S3Store(const S3Location& place, LockRule locks = {}, Clock& clock = Clock::real());

  std::optional<std::string> get(const std::string& name) override;
  std::optional<std::string> get_range(const std::string& name, ByteCount offset,
                                       ByteCount length) override;
  void put(const std::string& name, std::string_view bytes) override;
  PutResult put_if_absent(const std::string& name, std::string_view bytes) override {
    return put_parts_if_absent(name, {bytes});
  }
  PutResult put_parts_if_absent(const std::string& name,
                                const std::vector<std::string_view>& parts) override;
  PutResult put_if_unchanged(const std::string& name, std::string_view bytes,
                             const std::string& seen_version) override;
  void list(const std::string& prefix,
            const std::function<void(const ObjectInfo&)>& visit) override;
  bool remove(const std::string& name) override;
  std::optional<ObjectInfo> stat(const std::string& name) override;
  std::optional<Timestamp> locked_until(const std::string& name) override;
  bool lock_until(const std::string& name, Timestamp until) override;
  std::string describe() const override { return described_; }

 private:
  struct Write;   // bytes, condition and mark of one write
  struct Upload;  // a multipart upload, given up at the end unless it was completed

  S3Request request(std::string operation, std::string method, const std::string& name) const;
  std::optional<S3Response> get_part(const std::string& name, std::uint64_t from,
                                     std::uint64_t length);
  S3Request part_request(const std::string& name, std::uint64_t from, std::uint64_t length,
                         const std::string& only_etag) const;
  std::optional<std::string> get_rest(const std::string& name, S3Response first, std::uint64_t from,
                                      std::uint64_t length);
  Write new_write(const std::string& name, std::vector<std::string_view> parts,
                  std::optional<store::Write> how = {});
  PutResult put_whole(const Write& write);
  PutResult put_in_parts(const Write& write);
  PutResult judge(const Write& write, const S3Response& response);
  bool is_ours(const Write& write);
  bool heeds_condition_at_completion();
  S3Listing page(const std::string& prefix, const std::string& token);
  std::optional<S3Response> head(const std::string& name);
  void refuse_in_the_past(const std::string& name) const;
  // False: the object was not there in the past that is read.
  bool set_version(S3Request& request);
  std::string subject(const std::string& name) const;

  std::string prefix_;  // "" or with a '/' at the end
  std::string described_;
  std::optional<ObjectLock> lock_;
  LockRule locks_;
  Clock& clock_;
  S3Client client_;
  std::unique_ptr<S3Past> past_;
  std::string writer_;  // the beginning of this store's marks
  std::atomic<std::uint64_t> writes_{0};
  std::mutex mutex_;
  std::optional<bool> completion_heeds_;  // under mutex_
};

}  // namespace lifeboat::store
