#pragma once

#include <mutex>

#include "base/random.hpp"
#include "store/forwarding_store.hpp"
#include "store/pause.hpp"

namespace lifeboat::store {

struct RetryPolicy {
  Millis first_wait{200};     // doubled with each failure …
  Millis longest_wait{5000};  // … up to this
  Millis patience{30'000};    // no try begins later after the first
};

// Between half of it and the whole: `failures` is 1 after the first. Pure but for chance.
Millis wait_after(const RetryPolicy& policy, int failures, Random& random);

// Tries again what fails with Error(unavailable) or Error(timeout), until the policy's patience is
// over; then the last error comes, with how often it was tried. A write that failed may have
// happened: when a later try is told `exists` or `changed`, the object is read back, and is ours
// when it has our bytes. (So of two writers of the same bytes both may be told `written`; and
// `changed` after a failure can mean that ours happened and was replaced since.) remove() says true
// after a failure. A listing is read whole before it is visited. Thread-safe.
class RetryStore : public ForwardingStore {
 public:
  RetryStore(std::unique_ptr<ObjectStore> inner, RetryPolicy policy, Pause pause = Pause::real())
      : ForwardingStore(std::move(inner)), policy_(policy), pause_(std::move(pause)) {}
  // `random`: how long the waits are within the policy.
  RetryStore(ObjectStore& inner, RetryPolicy policy, Pause pause = Pause::real(),
             Random random = Random())
      : ForwardingStore(inner),
        policy_(policy),
        pause_(std::move(pause)),
        random_(std::move(random)) {}

  std::optional<std::string> get(const std::string& name) override;
  std::optional<std::string> get_range(const std::string& name, ByteCount offset,
                                       ByteCount length) override {
    return get_range_in({}, name, offset, length);
  }
  std::optional<std::string> get_range_in(std::string room, const std::string& name,
                                          ByteCount offset, ByteCount length) override;
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

 private:
  // Calls `f` until it returns; how often it failed before that.
  int tries(const std::function<void()>& f);
  bool is_ours(const std::string& name, const std::vector<std::string_view>& parts);

  RetryPolicy policy_;
  Pause pause_;
  std::mutex mutex_;
  Random random_;  // under mutex_
};

}  // namespace lifeboat::store
