#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/clock.hpp"
#include "postgres/data_files.hpp"
#include "vault/earlier_snapshot.hpp"

namespace lifeboat::recovery {

// A base backup's files, straight into a snapshot of the vault. With an earlier snapshot of the
// same files, those that did not change since are not read. An earlier one that cannot be read is
// told of, and everything is read.
class FilesToSnapshot : public postgres::FileSink {
 public:
  FilesToSnapshot(vault::SnapshotWriter& writer, Clock& clock,
                  std::unique_ptr<vault::EarlierSnapshot> earlier = nullptr)
      : writer_(writer), clock_(clock), earlier_(std::move(earlier)) {}

  void begin_directory(const std::string& path, int mode) override;
  void symlink(const std::string& path, const std::string& target) override;
  bool known(const postgres::FileFacts& file) override;
  void begin_file(const std::string& path, ByteCount size, int mode, Timestamp mtime) override;
  void begin_stream(const std::string& path, int mode) override;
  void data(std::string_view piece) override;
  void end_file() override;

  ByteCount unread() const { return unread_; }  // of files that were known

 private:
  bool unchanged(const postgres::FileFacts& file, const vault::FileStamp& stamp);

  vault::SnapshotWriter& writer_;
  Clock& clock_;
  std::unique_ptr<vault::EarlierSnapshot> earlier_;
  std::optional<vault::FileStamp> stamp_;  // of the file that begins next
  ByteCount unread_;
};

// The snapshot in `store`'s document of the newest point whose `read_from` is this: whose files
// they are, and where they lie. nullptr: there is none that can be read.
std::unique_ptr<vault::EarlierSnapshot> find_earlier(vault::Chunks& chunks,
                                                     const std::string& store,
                                                     const nlohmann::json& read_from);

}  // namespace lifeboat::recovery
