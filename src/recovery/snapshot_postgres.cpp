#include <sys/stat.h>

#include <cerrno>

#include "base/error.hpp"
#include "base/host.hpp"
#include "postgres/file_backup.hpp"
#include "postgres/wal_file.hpp"
#include "recovery/backup.hpp"
#include "recovery/files_to_snapshot.hpp"
#include "recovery/log_names.hpp"

namespace lifeboat::recovery {
namespace {

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

postgres::ProgressFunction tell_progress(const Context& c) {
  return [&c](const postgres::BackupProgress& p) {
    c.reporter.progress("base backup", p.done.value, p.total.value, "bytes");
  };
}

// Whose files they are and where they lie: stamps of files mean something only there.
nlohmann::json place_of(const std::filesystem::path& directory, std::uint64_t system_identifier) {
  struct stat info{};
  if (::stat(directory.c_str(), &info) != 0) {
    throw system_error(errno, directory.string(), "stat");
  }
  return {{"host", host_name()},
          {"directory", directory.string()},
          {"inode", info.st_ino},
          {"system_identifier", std::to_string(system_identifier)}};
}

struct Taken {
  postgres::BackupResult result;
  nlohmann::json how = nlohmann::json::object();
};

Taken read_files(const Context& c, vault::SnapshotWriter& writer, vault::Chunks& chunks,
                 bool reread) {
  const auto config = postgres_config(c.config);
  const auto& directory = c.config.postgres->data_directory;
  const auto place = place_of(directory, postgres::identify(config, c.cancel).system_identifier);
  FilesToSnapshot sink(writer, c.clock, reread ? nullptr : find_earlier(chunks, "postgres", place));
  Taken out;
  out.result = postgres::take_file_backup(config, {}, directory, sink, c.cancel, tell_progress(c));
  auto megabytes = [](std::uint64_t bytes) { return static_cast<double>(bytes) / 1e6; };
  c.reporter.note(fmt::format("{:.1f} MB of {:.1f} MB did not change since the last point",
                              megabytes(sink.unread().value), megabytes(out.result.bytes.value)));
  out.how = {{"read_from", place}, {"bytes_unread", sink.unread().value}};
  return out;
}

Taken read_stream(const Context& c, vault::SnapshotWriter& writer) {
  FilesToSnapshot sink(writer, c.clock);
  return {
      postgres::take_base_backup(postgres_config(c.config), {}, sink, c.cancel, tell_progress(c))};
}

}  // namespace

nlohmann::json snapshot_postgres(const Context& c, vault::Chunks& chunks, const std::string& point,
                                 bool reread) {
  vault::SnapshotWriter writer(chunks, "postgres-base");
  const auto [result, how] = c.config.postgres->read_files ? read_files(c, writer, chunks, reread)
                                                           : read_stream(c, writer);
  auto document = describe_backup(result);
  document.update(how);
  document["point"] = point;
  document["snapshot"] = writer.finish(document).hex();
  const auto wal = wal_log_name({result.system_identifier, result.start_timeline});
  auto start = postgres::segment_start(result.start_lsn, result.wal_segment_size);
  document["logs"] = nlohmann::json::array(
      {{{"log", wal.value}, {"position", start.value}, {"until", result.stop_lsn.value}}});
  return document;
}

}  // namespace lifeboat::recovery
