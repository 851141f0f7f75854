#include "store/s3_lock_probe.hpp"

#include "base/error.hpp"
#include "store/s3_answers.hpp"
#include "store/s3_client.hpp"

namespace lifeboat::store {
namespace {

constexpr std::int64_t kLock = 60'000;
constexpr std::int64_t kShorter = 20'000;

// One probe; run() tells it.
class LockProbe {
 public:
  LockProbe(const S3Location& place, Clock& clock, Random& random)
      : client_(place),
        mode_(place.lock->mode),
        shown_(Location(place).shown()),
        key_((place.prefix.empty() ? "" : place.prefix + "/") + "probe/lock-" + random.hex(16)),
        begun_(clock.now()) {}

  LockSeen run() {
    const bool may_delete = deletes_unlocked();
    const auto version = put(begun_ + kLock);
    if (!is_locked(version)) {
      seen_.broken = "the server took a locked object, and says that it is not locked";
    } else if (set_lock(version, begun_ + kShorter).ok()) {
      seen_.broken = "a lock could be made shorter";
    } else if (remove(version, false).ok() && !is_there(version)) {
      seen_.broken = "a locked object could be deleted";
    } else if (mode_ == ObjectLock::Mode::governance && remove(version, true).ok() &&
               !is_there(version)) {
      seen_.notes.push_back(
          "these credentials may go round a governance lock "
          "(s3:BypassGovernanceRetention): whoever steals them can delete all");
    }
    if (!may_delete) {
      seen_.notes.push_back(
          "these credentials may not delete versions, locked or not: that the "
          "server would refuse others was not seen");
    }
    clear();
    seen_.holds = seen_.broken.empty();
    return seen_;
  }

 private:
  S3Request request(const char* operation, const char* method, const std::string& version = "") {
    S3Request r;
    r.operation = operation;
    r.method = method;
    r.key = key_;
    if (!version.empty()) r.query = {{"versionId", version}};
    return r;
  }

  S3Response must(S3Response response, const char* doing) {
    if (!response.ok()) throw s3_error(response, shown_, doing);
    return response;
  }

  // Writes the object, locked or not; gives its version.
  std::string put(std::optional<Timestamp> locked) {
    auto r = request("PutObject", "PUT");
    r.body = "Lifeboat tries whether locks hold";
    r.with_md5 = true;
    if (locked) {
      r.headers = {{"x-amz-object-lock-mode", lock_mode(mode_)},
                   {"x-amz-object-lock-retain-until-date", lock_date(*locked)}};
    }
    auto response = must(client_.send(std::move(r)), "cannot write a locked object");
    const auto version = response.header("x-amz-version-id");
    if (version.empty()) {
      throw Error(Code::unsupported, shown_, "keeps no versions of objects, which locks need",
                  "make the bucket with Object Lock, or take `object_lock` out of lifeboat.yaml");
    }
    return version;
  }

  bool deletes_unlocked() {
    const auto version = put(std::nullopt);
    return remove(version, false).ok() && !is_there(version);
  }

  bool is_there(const std::string& version) {
    return client_.send(request("HeadObject", "HEAD", version)).ok();
  }

  bool is_locked(const std::string& version) {
    auto response =
        must(client_.send(request("HeadObject", "HEAD", version)), "cannot look at its lock");
    return !response.header("x-amz-object-lock-retain-until-date").empty();
  }

  S3Response set_lock(const std::string& version, Timestamp until) {
    auto r = request("PutObjectRetention", "PUT", version);
    r.query.emplace_back("retention", "");
    const auto document = retention_document(mode_, until);
    r.body = document;
    r.with_md5 = true;
    return client_.send(std::move(r));
  }

  S3Response remove(const std::string& version, bool bypass) {
    auto r = request("DeleteObject", "DELETE", version);
    if (bypass) r.headers = {{"x-amz-bypass-governance-retention", "true"}};
    return client_.send(std::move(r));
  }

  // Out of sight at least; what may not be deleted stays a small object that nobody reads.
  void clear() { client_.send(request("DeleteObject", "DELETE")); }

  S3Client client_;
  const ObjectLock::Mode mode_;
  const std::string shown_;
  const std::string key_;
  const Timestamp begun_;
  LockSeen seen_;
};

}  // namespace

LockSeen probe_lock(const S3Location& place, Clock& clock, Random& random) {
  return LockProbe(place, clock, random).run();
}

}  // namespace lifeboat::store
