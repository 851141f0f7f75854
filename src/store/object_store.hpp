#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/types.hpp"

namespace lifeboat::store {

// What the store says of one object. `version` changes whenever the object's content changes; it is
// opaque (an ETag on S3, size and a modification time that only grows in a directory). Where it is
// an ETag, a content that comes back brings its version back: what is compared and swapped should
// hold something that never comes back.
struct ObjectInfo {
  std::string name;
  ByteCount size;
  std::string version;
};

enum class PutResult { written, exists, changed };

// A flat store of immutable or compare-and-swapped objects.
//
// Names are '/'-separated segments of [A-Za-z0-9._-], at most 512 bytes, each segment 1 to 200
// bytes and without a leading '.' (check_name()). No name may be another one's beginning up to a
// '/'. Every write is durable and atomic when the call returns: a reader sees the whole old or the
// whole new object, never a part. What stat() and put_if_absent() say is there is durable too,
// whoever wrote it. All calls are thread-safe. Errors: unavailable, denied, no_space, corrupt,
// refused, timeout. "Not there" and "somebody was faster" are results. A write that throws may have
// happened.
class ObjectStore {
 public:
  virtual ~ObjectStore() = default;

  // The whole object; nullopt when it does not exist.
  virtual std::optional<std::string> get(const std::string& name) = 0;
  // Bytes [offset, offset + length), fewer at the end of the object; nullopt when it does not
  // exist.
  virtual std::optional<std::string> get_range(const std::string& name, ByteCount offset,
                                               ByteCount length) = 0;
  // The same. A store that can gives it in `room`'s memory, whose content is of no more use: new
  // memory comes page by page.
  virtual std::optional<std::string> get_range_in(std::string room, const std::string& name,
                                                  ByteCount offset, ByteCount length);
  // Creates or replaces.
  virtual void put(const std::string& name, std::string_view bytes) = 0;
  // Creates: `written`, or `exists` and nothing changed. Atomic against other writers.
  virtual PutResult put_if_absent(const std::string& name, std::string_view bytes) = 0;
  // put_if_absent() of the parts' bytes one after the other. A store that can writes them from
  // where they lie.
  virtual PutResult put_parts_if_absent(const std::string& name,
                                        const std::vector<std::string_view>& parts);
  // Replaces the version that was seen: `written`, or `changed` (also when it is gone).
  virtual PutResult put_if_unchanged(const std::string& name, std::string_view bytes,
                                     const std::string& seen_version) = 0;
  // Calls `visit` for each object whose name starts with `prefix`, in byte order of the names.
  virtual void list(const std::string& prefix,
                    const std::function<void(const ObjectInfo&)>& visit) = 0;
  // True when it was there.
  virtual bool remove(const std::string& name) = 0;
  virtual std::optional<ObjectInfo> stat(const std::string& name) = 0;

  // So many calls at a time are of use to who has many to make. 1: all are to come from the thread
  // that the caller came with, one after the other.
  virtual unsigned calls_at_once() const { return 8; }

  // Of a store that locks objects (S3's Object Lock): until when nobody can delete these bytes.
  // nullopt: not locked, not there, or a store without locks. A locked object can be removed and
  // replaced all the same, by its name: readers see it no more, and its bytes stay and can be
  // brought back.
  virtual std::optional<Timestamp> locked_until(const std::string& name);
  // Locks it until then at least; a longer lock stays. False: it is not there. Error(unsupported)
  // of a store without locks.
  virtual bool lock_until(const std::string& name, Timestamp until);

  // For messages: "directory /backup/vault".
  virtual std::string describe() const = 0;
};

// The names below a prefix, in byte order, as two listings tell them one after the other: for what
// must not be overlooked. On a bad day a listing may lack an object; what the other one told is
// there.
std::vector<std::string> list_twice(ObjectStore& store, const std::string& prefix);

// Whether a store takes the name. check_name() throws Error(failed) when not.
bool valid_name(std::string_view name);
void check_name(const std::string& name);

}  // namespace lifeboat::store
