#include "store/around_store.hpp"

#include <utility>

namespace lifeboat::store {
namespace {

ByteCount size_of(const std::optional<std::string>& bytes) {
  return ByteCount(bytes ? bytes->size() : 0);
}

}  // namespace

std::string_view to_string(Op op) {
  switch (op) {
    case Op::get:
      return "get";
    case Op::get_range:
      return "get_range";
    case Op::put:
      return "put";
    case Op::put_if_absent:
      return "put_if_absent";
    case Op::put_if_unchanged:
      return "put_if_unchanged";
    case Op::list:
      return "list";
    case Op::remove:
      return "remove";
    case Op::stat:
      return "stat";
    case Op::lock:
      return "lock";
  }
  return "";
}

std::optional<std::string> AroundStore::get(const std::string& name) {
  std::optional<std::string> out;
  Call call{Op::get, name, {}, {}};
  around(call, {.bytes = &out, .result = nullptr, .listing = nullptr}, [&] {
    out = inner().get(name);
    call.received = size_of(out);
  });
  return out;
}

std::optional<std::string> AroundStore::get_range_in(std::string room, const std::string& name,
                                                     ByteCount offset, ByteCount length) {
  std::optional<std::string> out;
  Call call{Op::get_range, name, {}, {}};
  around(call, {.bytes = &out, .result = nullptr, .listing = nullptr}, [&] {
    out = inner().get_range_in(std::exchange(room, ""), name, offset, length);
    call.received = size_of(out);
  });
  return out;
}

void AroundStore::put(const std::string& name, std::string_view bytes) {
  Call call{Op::put, name, ByteCount(bytes.size()), {}};
  around(call, {}, [&] { inner().put(name, bytes); });
}

PutResult AroundStore::put_parts_if_absent(const std::string& name,
                                           const std::vector<std::string_view>& parts) {
  PutResult out{};
  Call call{Op::put_if_absent, name, {}, {}};
  for (auto part : parts) call.sent = call.sent + part.size();
  around(call, {.bytes = nullptr, .result = &out, .listing = nullptr},
         [&] { out = inner().put_parts_if_absent(name, parts); });
  return out;
}

PutResult AroundStore::put_if_unchanged(const std::string& name, std::string_view bytes,
                                        const std::string& seen_version) {
  PutResult out{};
  Call call{Op::put_if_unchanged, name, ByteCount(bytes.size()), {}};
  around(call, {.bytes = nullptr, .result = &out, .listing = nullptr},
         [&] { out = inner().put_if_unchanged(name, bytes, seen_version); });
  return out;
}

void AroundStore::list(const std::string& prefix,
                       const std::function<void(const ObjectInfo&)>& visit) {
  Call call{Op::list, prefix, {}, {}};
  if (!collects_listings()) return around(call, {}, [&] { inner().list(prefix, visit); });
  std::vector<ObjectInfo> found;
  around(call, {.bytes = nullptr, .result = nullptr, .listing = &found}, [&] {
    found.clear();
    inner().list(prefix, [&](const ObjectInfo& info) { found.push_back(info); });
  });
  for (const auto& info : found) visit(info);
}

bool AroundStore::remove(const std::string& name) {
  bool out = false;
  Call call{Op::remove, name, {}, {}};
  around(call, {}, [&] { out = inner().remove(name); });
  return out;
}

std::optional<ObjectInfo> AroundStore::stat(const std::string& name) {
  std::optional<ObjectInfo> out;
  Call call{Op::stat, name, {}, {}};
  around(call, {}, [&] { out = inner().stat(name); });
  return out;
}

std::optional<Timestamp> AroundStore::locked_until(const std::string& name) {
  std::optional<Timestamp> out;
  Call call{Op::stat, name, {}, {}};
  around(call, {}, [&] { out = inner().locked_until(name); });
  return out;
}

bool AroundStore::lock_until(const std::string& name, Timestamp until) {
  bool out = false;
  Call call{Op::lock, name, {}, {}};
  around(call, {}, [&] { out = inner().lock_until(name, until); });
  return out;
}

}  // namespace lifeboat::store
