#include "store/memory_store.hpp"

#include <algorithm>
#include <vector>

namespace lifeboat::store {

std::optional<std::string> MemoryStore::get(const std::string& name) {
  check_name(name);
  std::lock_guard lock(mutex_);
  auto it = objects_.find(name);
  if (it == objects_.end()) return std::nullopt;
  return it->second.bytes;
}

std::optional<std::string> MemoryStore::get_range(const std::string& name, ByteCount offset,
                                                  ByteCount length) {
  check_name(name);
  std::lock_guard lock(mutex_);
  auto it = objects_.find(name);
  if (it == objects_.end()) return std::nullopt;
  const std::string& bytes = it->second.bytes;
  if (offset.value >= bytes.size()) return std::string();
  return bytes.substr(offset.value, length.value);
}

// Under mutex_.
void MemoryStore::write(const std::string& name, std::string_view bytes, std::optional<Write> how) {
  objects_[name] = {std::string(bytes), std::to_string(++last_version_), {}};
  const auto locked_for = locks_ && how ? locks_(name, *how) : Millis(0);
  if (locked_for > Millis(0)) objects_[name].locked = clock_->now() + locked_for.count();
}

void MemoryStore::put(const std::string& name, std::string_view bytes) {
  check_name(name);
  std::lock_guard lock(mutex_);
  write(name, bytes);
}

PutResult MemoryStore::put_if_absent(const std::string& name, std::string_view bytes) {
  check_name(name);
  std::lock_guard lock(mutex_);
  if (objects_.count(name) != 0) return PutResult::exists;
  write(name, bytes, Write::create);
  return PutResult::written;
}

PutResult MemoryStore::put_if_unchanged(const std::string& name, std::string_view bytes,
                                        const std::string& seen_version) {
  check_name(name);
  std::lock_guard lock(mutex_);
  auto it = objects_.find(name);
  if (it == objects_.end() || it->second.version != seen_version) return PutResult::changed;
  write(name, bytes, Write::replace);
  return PutResult::written;
}

void MemoryStore::list(const std::string& prefix,
                       const std::function<void(const ObjectInfo&)>& visit) {
  std::vector<ObjectInfo> found;
  {
    std::lock_guard lock(mutex_);
    for (auto it = objects_.lower_bound(prefix); it != objects_.end(); ++it) {
      if (!it->first.starts_with(prefix)) break;
      found.push_back({it->first, ByteCount(it->second.bytes.size()), it->second.version});
    }
  }
  for (const auto& info : found) visit(info);
}

bool MemoryStore::remove(const std::string& name) {
  check_name(name);
  std::lock_guard lock(mutex_);
  return objects_.erase(name) != 0;
}

std::optional<ObjectInfo> MemoryStore::stat(const std::string& name) {
  check_name(name);
  std::lock_guard lock(mutex_);
  auto it = objects_.find(name);
  if (it == objects_.end()) return std::nullopt;
  return ObjectInfo{name, ByteCount(it->second.bytes.size()), it->second.version};
}

std::optional<Timestamp> MemoryStore::locked_until(const std::string& name) {
  check_name(name);
  std::lock_guard lock(mutex_);
  auto it = objects_.find(name);
  if (it == objects_.end() || !it->second.locked) return std::nullopt;
  return *it->second.locked > clock_->now() ? it->second.locked : std::nullopt;
}

bool MemoryStore::lock_until(const std::string& name, Timestamp until) {
  check_name(name);
  if (!locks_) return ObjectStore::lock_until(name, until);
  std::lock_guard lock(mutex_);
  auto it = objects_.find(name);
  if (it == objects_.end()) return false;
  it->second.locked = std::max(it->second.locked.value_or(until), until);
  return true;
}

}  // namespace lifeboat::store
