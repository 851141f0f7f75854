#pragma once

#include <string_view>

#include "store/forwarding_store.hpp"

namespace lifeboat::store {

enum class Op { get, get_range, put, put_if_absent, put_if_unchanged, list, remove, stat, lock };
constexpr int kOps = 9;
std::string_view to_string(Op op);

struct Call {
  Op op;
  const std::string& name;  // the prefix, of a listing
  ByteCount sent;           // the object's bytes on their way to the store
  ByteCount received;       // on their way back: known once it was passed on

  bool writes() const {
    return op == Op::put || op == Op::put_if_absent || op == Op::put_if_unchanged ||
           op == Op::remove || op == Op::lock;
  }
};

// A decorator that does the same around every call.
class AroundStore : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;

  std::optional<std::string> get(const std::string& name) final;
  std::optional<std::string> get_range(const std::string& name, ByteCount offset,
                                       ByteCount length) final {
    return get_range_in({}, name, offset, length);
  }
  std::optional<std::string> get_range_in(std::string room, const std::string& name,
                                          ByteCount offset, ByteCount length) final;
  void put(const std::string& name, std::string_view bytes) final;
  PutResult put_if_absent(const std::string& name, std::string_view bytes) final {
    return put_parts_if_absent(name, {bytes});
  }
  PutResult put_parts_if_absent(const std::string& name,
                                const std::vector<std::string_view>& parts) final;
  PutResult put_if_unchanged(const std::string& name, std::string_view bytes,
                             const std::string& seen_version) final;
  void list(const std::string& prefix, const std::function<void(const ObjectInfo&)>& visit) final;
  bool remove(const std::string& name) final;
  std::optional<ObjectInfo> stat(const std::string& name) final;
  std::optional<Timestamp> locked_until(const std::string& name) final;  // a stat
  bool lock_until(const std::string& name, Timestamp until) final;

 protected:
  // What the call came back with, for those who change it.
  struct Answer {
    std::optional<std::string>* bytes = nullptr;  // get, get_range
    PutResult* result = nullptr;                  // put_if_…
    std::vector<ObjectInfo>* listing = nullptr;   // list
  };
  // Once for each call, from any thread; `pass_on` makes the call in the inner store.
  // `answer` has nothing of a listing unless collects_listings().
  virtual void around(Call& call, const Answer& answer, const std::function<void()>& pass_on) = 0;
  // Whether a listing is read whole before it is visited.
  virtual bool collects_listings() const { return false; }
};

}  // namespace lifeboat::store
