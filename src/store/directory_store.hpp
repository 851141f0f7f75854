#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <unordered_map>

#include "base/file.hpp"
#include "store/object_store.hpp"

namespace lifeboat::store {

// Objects as files below one directory of a local file system (or one that has its link(2),
// rename(2), flock(2) and fsync(2)). Several processes may use it at a time. Reading works on a
// read-only file system too.
//
// A write goes to a file below .tmp/, is synced, and gets its name by link(2) or rename(2); then
// the directory is synced. Only renaming is under a lock, syncing never is, so that concurrent
// writers share the file system's commits. What a killed writer left below .tmp/ is removed by a
// later writer, an hour after. Symbolic links below the directory are refused: Error(refused).
class DirectoryStore : public ObjectStore {
 public:
  // Error(not_found) when the directory does not exist.
  explicit DirectoryStore(std::filesystem::path directory);
  // Makes the directory, its parents too, durably; nothing happens when it exists.
  static void create(const std::filesystem::path& directory);

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
  std::string describe() const override { return "directory " + directory_.string(); }

 private:
  struct Place;      // an object's directory, open, and the last segment of its name
  struct Temporary;  // a file below .tmp/, removed at the end unless it was renamed

  std::optional<Place> find(const std::string& name, bool make_directories = false);
  Fd open_object(const Place& place);  // closed Fd when it does not exist
  bool open_temporary_directory();     // false when nothing can be written here
  Temporary write_temporary(const std::string& name, const std::vector<std::string_view>& parts);
  Fd lock_names();
  void replace(const Place& place, Temporary& file);  // under lock_names()
  void sync(const Place& place);
  void sync_unless_older(const Place& place, std::int64_t changed);
  std::int64_t file_system_now();
  void remove_leftovers();
  void list_below(int directory, const std::string& path, const std::string& prefix,
                  const std::function<void(const ObjectInfo&)>& visit);
  std::string subject(const std::string& name) const;

  std::filesystem::path directory_;
  Fd root_;
  std::mutex mutex_;  // of what follows
  Fd temporary_;
  // By path below the root: what was linked into this directory before that time of the file
  // system's clock (ns) is durable, and so are the directory and those above.
  std::unordered_map<std::string, std::int64_t> synced_;
  std::atomic<std::uint64_t> counter_{0};
};

}  // namespace lifeboat::store
