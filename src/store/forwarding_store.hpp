#pragma once

#include <memory>

#include "store/object_store.hpp"

namespace lifeboat::store {

// Passes every call on: the base of decorators, which override what they change.
class ForwardingStore : public ObjectStore {
 public:
  // The inner store must outlive it.
  explicit ForwardingStore(ObjectStore& inner) : inner_(inner) {}
  explicit ForwardingStore(std::unique_ptr<ObjectStore> inner)
      : owned_(std::move(inner)), inner_(*owned_) {}

  std::optional<std::string> get(const std::string& name) override { return inner_.get(name); }
  std::optional<std::string> get_range(const std::string& name, ByteCount offset,
                                       ByteCount length) override {
    return inner_.get_range(name, offset, length);
  }
  void put(const std::string& name, std::string_view bytes) override { inner_.put(name, bytes); }
  PutResult put_if_absent(const std::string& name, std::string_view bytes) override {
    return inner_.put_if_absent(name, bytes);
  }
  PutResult put_if_unchanged(const std::string& name, std::string_view bytes,
                             const std::string& seen_version) override {
    return inner_.put_if_unchanged(name, bytes, seen_version);
  }
  void list(const std::string& prefix,
            const std::function<void(const ObjectInfo&)>& visit) override {
    inner_.list(prefix, visit);
  }
  bool remove(const std::string& name) override { return inner_.remove(name); }
  std::optional<ObjectInfo> stat(const std::string& name) override { return inner_.stat(name); }
  unsigned calls_at_once() const override { return inner_.calls_at_once(); }
  std::optional<Timestamp> locked_until(const std::string& name) override {
    return inner_.locked_until(name);
  }
  bool lock_until(const std::string& name, Timestamp until) override {
    return inner_.lock_until(name, until);
  }
  std::string describe() const override { return inner_.describe(); }

 protected:
  ObjectStore& inner() { return inner_; }

 private:
  std::unique_ptr<ObjectStore> owned_;
  ObjectStore& inner_;
};

}  // namespace lifeboat::store
