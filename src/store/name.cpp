#include <set>

#include "base/error.hpp"
#include "store/object_store.hpp"

namespace lifeboat::store {
namespace {

constexpr std::size_t kMaxName = 512;
constexpr std::size_t kMaxSegment = 200;  // fits a file name on every file system

bool allowed(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

bool good_segment(std::string_view segment) {
  if (segment.empty() || segment.size() > kMaxSegment || segment.front() == '.') return false;
  for (char c : segment) {
    if (!allowed(c)) return false;
  }
  return true;
}

}  // namespace

bool valid_name(std::string_view name) {
  if (name.size() > kMaxName) return false;
  for (;;) {
    auto slash = name.find('/');
    if (!good_segment(name.substr(0, slash))) return false;
    if (slash == std::string_view::npos) return true;
    name.remove_prefix(slash + 1);
  }
}

void check_name(const std::string& name) {
  if (valid_name(name)) return;
  std::string shown;
  for (char c : name.substr(0, 80)) shown += c >= ' ' && c <= '~' ? c : '?';
  throw Error(Code::failed, "object '" + shown + "'", "is not a name that a store takes");
}

std::vector<std::string> list_twice(ObjectStore& store, const std::string& prefix) {
  std::set<std::string> names;
  for (int i = 0; i < 2; ++i) {
    store.list(prefix, [&](const ObjectInfo& info) { names.insert(info.name); });
  }
  return {names.begin(), names.end()};
}

std::optional<Timestamp> ObjectStore::locked_until(const std::string&) {
  return std::nullopt;
}

bool ObjectStore::lock_until(const std::string& name, Timestamp) {
  throw Error(Code::unsupported, "object " + name, describe() + " locks no objects",
              "take object_lock out of lifeboat.yaml, or use a bucket that has Object Lock");
}

std::optional<std::string> ObjectStore::get_range_in(std::string, const std::string& name,
                                                     ByteCount offset, ByteCount length) {
  return get_range(name, offset, length);
}

PutResult ObjectStore::put_parts_if_absent(const std::string& name,
                                           const std::vector<std::string_view>& parts) {
  std::string bytes;
  std::size_t size = 0;
  for (auto part : parts) size += part.size();
  bytes.reserve(size);
  for (auto part : parts) bytes += part;
  return put_if_absent(name, bytes);
}

}  // namespace lifeboat::store
