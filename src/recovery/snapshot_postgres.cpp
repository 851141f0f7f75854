#include "postgres/base_backup.hpp"
#include "postgres/relative_path.hpp"
#include "postgres/wal_file.hpp"
#include "recovery/backup.hpp"
#include "recovery/log_names.hpp"
#include "vault/snapshot.hpp"

namespace lifeboat::recovery {
namespace {

// A base backup's files, straight into a snapshot of the vault.
class ToSnapshot : public postgres::BackupSink {
 public:
  ToSnapshot(vault::SnapshotWriter& writer, Clock& clock) : writer_(writer), clock_(clock) {}
  void begin_directory(const std::string& path, int mode) override {
    writer_.add_directory(path, static_cast<std::uint32_t>(mode & 07777));
  }
  void symlink(const std::string& path, const std::string& target) override {
    writer_.add_symlink(path, target);
  }
  void begin_file(const std::string& path, ByteCount, int mode, Timestamp mtime) override {
    writer_.begin_file(path, static_cast<std::uint32_t>(mode & 07777), mtime,
                       postgres::is_relation(path) ? vault::Cut::aligned : vault::Cut::by_content);
  }
  void begin_stream(const std::string& path, int mode) override {
    writer_.begin_file(path, static_cast<std::uint32_t>(mode & 07777), clock_.now());
  }
  void data(std::string_view piece) override { writer_.data(piece); }
  void end_file() override { writer_.end_file(); }

 private:
  vault::SnapshotWriter& writer_;
  Clock& clock_;
};

nlohmann::json describe_backup(const postgres::BackupResult& result) {
  nlohmann::json tablespaces = nlohmann::json::array();
  for (const auto& space : result.tablespaces) {
    tablespaces.push_back({{"oid", space.oid}, {"location", space.location}});
  }
  return {{"system_identifier", std::to_string(result.system_identifier)},
          {"server_version", result.server_version},
          {"wal_segment_size", result.wal_segment_size.value},
          {"timeline", result.start_timeline.value},
          {"start_lsn", to_string(result.start_lsn)},
          {"stop_lsn", to_string(result.stop_lsn)},
          {"tablespaces", tablespaces},
          {"bytes", result.bytes.value},
          {"files", result.files}};
}

}  // namespace

nlohmann::json snapshot_postgres(const Context& c, vault::Chunks& chunks,
                                 const std::string& point) {
  vault::SnapshotWriter writer(chunks, "postgres-base");
  ToSnapshot sink(writer, c.clock);
  auto progress = [&](const postgres::BackupProgress& p) {
    c.reporter.progress("base backup", p.done.value, p.total.value, "bytes");
  };
  auto result = postgres::take_base_backup(postgres_config(c.config), {}, sink, c.cancel, progress);
  nlohmann::json document = describe_backup(result);
  document["point"] = point;
  document["snapshot"] = writer.finish(document).hex();
  auto wal = wal_log_name({result.system_identifier, result.start_timeline});
  auto start = postgres::segment_start(result.start_lsn, result.wal_segment_size);
  document["logs"] = nlohmann::json::array(
      {{{"log", wal.value}, {"position", start.value}, {"until", result.stop_lsn.value}}});
  return document;
}

}  // namespace lifeboat::recovery
