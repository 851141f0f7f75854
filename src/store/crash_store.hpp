#pragma once

#include <cstdint>
#include <mutex>

#include "store/forwarding_store.hpp"

namespace lifeboat::store {

// What a CrashStore throws. Not an Error on purpose: nothing that handles Errors may handle it.
struct Crashed {};

// For tests: the program "dies" at its n-th write (1 is the first). That write happens or does not,
// as told, then it throws Crashed, and so does every later call, reads included. Thread-safe.
class CrashStore : public ForwardingStore {
 public:
  enum class LastWrite { happens, does_not };
  static constexpr std::uint64_t kNever = 0;
  CrashStore(ObjectStore& inner, std::uint64_t crash_at, LastWrite last_write)
      : ForwardingStore(inner), crash_at_(crash_at), last_write_(last_write) {}

  std::uint64_t writes() const;  // begun so far, the deadly one included
  bool crashed() const;

  std::optional<std::string> get(const std::string& name) override;
  std::optional<std::string> get_range(const std::string& name, ByteCount offset,
                                       ByteCount length) override;
  void put(const std::string& name, std::string_view bytes) override;
  PutResult put_if_absent(const std::string& name, std::string_view bytes) override;
  PutResult put_if_unchanged(const std::string& name, std::string_view bytes,
                             const std::string& seen_version) override;
  void list(const std::string& prefix,
            const std::function<void(const ObjectInfo&)>& visit) override;
  bool remove(const std::string& name) override;
  std::optional<ObjectInfo> stat(const std::string& name) override;

 private:
  template <typename Write>
  auto count(Write&& write);
  void alive() const;

  mutable std::mutex mutex_;
  std::uint64_t crash_at_;
  LastWrite last_write_;
  std::uint64_t writes_ = 0;
  bool crashed_ = false;
};

}  // namespace lifeboat::store
