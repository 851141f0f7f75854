#include "store/crash_store.hpp"

namespace lifeboat::store {

std::uint64_t CrashStore::writes() const {
  std::lock_guard lock(mutex_);
  return writes_;
}

bool CrashStore::crashed() const {
  std::lock_guard lock(mutex_);
  return crashed_;
}

void CrashStore::alive() const {
  if (crashed()) throw Crashed{};
}

template <typename Write>
auto CrashStore::count(Write&& write) {
  bool last = false;
  {
    std::lock_guard lock(mutex_);
    if (crashed_) throw Crashed{};
    last = ++writes_ == crash_at_;
    crashed_ = last;
  }
  if (!last) return write();
  if (last_write_ == LastWrite::happens) write();
  throw Crashed{};
}

std::optional<std::string> CrashStore::get(const std::string& name) {
  alive();
  return inner().get(name);
}

std::optional<std::string> CrashStore::get_range(const std::string& name, ByteCount offset,
                                                 ByteCount length) {
  alive();
  return inner().get_range(name, offset, length);
}

void CrashStore::put(const std::string& name, std::string_view bytes) {
  count([&] { inner().put(name, bytes); });
}

PutResult CrashStore::put_if_absent(const std::string& name, std::string_view bytes) {
  return count([&] { return inner().put_if_absent(name, bytes); });
}

PutResult CrashStore::put_if_unchanged(const std::string& name, std::string_view bytes,
                                       const std::string& seen_version) {
  return count([&] { return inner().put_if_unchanged(name, bytes, seen_version); });
}

void CrashStore::list(const std::string& prefix,
                      const std::function<void(const ObjectInfo&)>& visit) {
  alive();
  inner().list(prefix, visit);
}

bool CrashStore::remove(const std::string& name) {
  return count([&] { return inner().remove(name); });
}

std::optional<ObjectInfo> CrashStore::stat(const std::string& name) {
  alive();
  return inner().stat(name);
}

}  // namespace lifeboat::store
