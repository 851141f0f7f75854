#include "postgres/file_backup.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <functional>
#include <sstream>

#include "base/error.hpp"
#include "base/file.hpp"
#include "postgres/control_file.hpp"

namespace lifeboat::postgres {

namespace fs = std::filesystem;

namespace {

constexpr Millis kControlWait{5000};
constexpr const char* kControl = "global/pg_control";
constexpr const char* kNotTheServers =
    "set postgres.data_directory to what `SHOW data_directory` says, as this machine sees it, or "
    "leave out postgres.read_files";
constexpr const char* kGrant =
    "a superuser can run: GRANT EXECUTE ON FUNCTION pg_backup_start(text, boolean), "
    "pg_backup_stop(boolean) TO ";

Error not_the_servers(const fs::path& directory, const std::string& why) {
  return Error(Code::refused, directory.string(),
               "is not the data directory of the server that answers: " + why, kNotTheServers);
}

// It is written while a server runs, and then may be met half written.
ControlFile read_living_control(const fs::path& directory, const Cancel& cancel) {
  const auto deadline = Deadline::after(kControlWait);
  for (;;) {
    try {
      return read_control(directory);
    } catch (const Error& error) {
      if (error.code() != Code::corrupt || deadline.passed()) throw;
    }
    cancel.sleep_for(Millis(10));
    cancel.check();
  }
}

std::int64_t changed_at(const fs::path& file) {
  struct stat info{};
  if (::stat(file.c_str(), &info) != 0) throw system_error(errno, file.string(), "stat");
  return static_cast<std::int64_t>(info.st_ctim.tv_sec) * 1'000'000'000 + info.st_ctim.tv_nsec;
}

// postmaster.pid: its 3rd line is when the server started (seconds since 1970), its 4th the port.
struct Postmaster {
  std::uint64_t started = 0;
  std::uint64_t port = 0;
};
Postmaster read_postmaster(const fs::path& directory) {
  const auto text = read_file(directory / "postmaster.pid", ByteCount(64 << 10));
  if (!text) throw not_the_servers(directory, "no server runs on it");
  std::istringstream lines(*text);
  std::string skipped;
  Postmaster out;
  if (!std::getline(lines, skipped) || !std::getline(lines, skipped) ||
      !(lines >> out.started >> out.port)) {
    throw not_the_servers(directory, "its postmaster.pid cannot be read");
  }
  return out;
}

void prove_directory(Connection& sql, std::uint64_t system_identifier, const fs::path& directory,
                     const ControlFile& control) {
  if (control.system_identifier != system_identifier) {
    throw not_the_servers(directory, fmt::format("its system identifier is {}, the server's {}",
                                                 control.system_identifier, system_identifier));
  }
  const auto answer = sql.query(
      "SELECT floor(extract(epoch FROM pg_catalog.pg_postmaster_start_time()))::bigint, "
      "pg_catalog.current_setting('port')::int");
  const auto there = read_postmaster(directory);
  // The file's time is noted a moment before the other one.
  if (there.started > answer.number(0, 0) || there.started + 60 < answer.number(0, 0) ||
      there.port != answer.number(0, 1)) {
    throw not_the_servers(directory, "another server runs on it");
  }
}

// What pg_backup_stop() gives for the file backup_label (manual, chapter 26.3.3).
std::string label_value(const std::string& label, std::string_view key) {
  const auto at = label.find(key);
  if (at == std::string::npos) {
    throw Error(Code::corrupt, "pg_backup_stop()", fmt::format("its label lacks '{}'", key));
  }
  const auto from = at + key.size();
  return label.substr(from, label.find_first_of(" \n", from) - from);
}

void read_label(const std::string& label, BackupResult& result) {
  const auto lsn = parse_lsn(label_value(label, "START WAL LOCATION: "));
  const auto timeline = label_value(label, "START TIMELINE: ");
  std::uint32_t number = 0;
  std::from_chars(timeline.data(), timeline.data() + timeline.size(), number);
  if (!lsn || number == 0) {
    throw Error(Code::corrupt, "pg_backup_stop()", "its label says no start position");
  }
  result.start_lsn = *lsn;
  result.start_timeline = TimelineId(number);
  result.backup_label = label;
}

void give_whole(FileSink& sink, BackupResult& result, const std::string& path, Timestamp mtime,
                std::string_view bytes) {
  sink.begin_file(path, ByteCount(bytes.size()), 0600, mtime);
  sink.data(bytes);
  sink.end_file();
  result.bytes = result.bytes + bytes.size();
  ++result.files;
}

std::string user_of(Connection& sql) {
  return sql.query("SELECT pg_catalog.quote_ident(current_user)").text(0, 0);
}

Lsn start(Connection& sql, const BackupOptions& options) {
  std::string label;
  for (const char c : options.label) label.append(c == '\'' ? 2 : 1, c);
  try {
    return sql
        .query(fmt::format("SELECT pg_catalog.pg_backup_start('{}', {})", label,
                           options.fast_checkpoint))
        .lsn(0, 0);
  } catch (const Error& error) {
    if (error.code() != Code::denied) throw;
    throw Error(Code::denied, error.subject(), error.message(), kGrant + user_of(sql));
  }
}

// The checkpoint that pg_backup_start() made is in the directory, or the one that followed: what
// the server says of its own pg_control is what lies there.
void prove_checkpoint(Connection& sql, Lsn begun, const fs::path& directory, const Cancel& cancel) {
  const auto deadline = Deadline::after(kControlWait);
  for (;;) {
    const auto there = read_living_control(directory, cancel);
    const auto answer = sql.query(
        "SELECT checkpoint_lsn, redo_lsn, timeline_id FROM pg_catalog.pg_control_checkpoint()");
    if (there.redo >= begun && there.checkpoint == answer.lsn(0, 0) &&
        there.redo == answer.lsn(0, 1) && there.timeline.value == answer.number(0, 2)) {
      return;
    }
    if (deadline.passed()) {
      throw not_the_servers(directory,
                            fmt::format("its last checkpoint is {} (redo {}), the server's {} ({})",
                                        to_string(there.checkpoint), to_string(there.redo),
                                        answer.text(0, 0), answer.text(0, 1)));
    }
    cancel.sleep_for(Millis(20));  // another checkpoint ended between the two
    cancel.check();
  }
}

struct Begun {
  std::int64_t settled = 0;  // what was changed up to then (ns since 1970) is
  PageRules pages;
};

// From here to pg_backup_stop() files may be copied. When files are settled the file system's own
// clock says, as the checkpoint wrote pg_control a moment ago (or longer: then fewer are).
Begun begin(Connection& sql, const BackupOptions& options, const fs::path& directory,
            const Cancel& cancel) {
  const bool whole_pages =
      sql.query("SELECT pg_catalog.current_setting('full_page_writes')").text(0, 0) == "on";
  Begun out;
  out.pages.begun = start(sql, options);
  prove_checkpoint(sql, out.pages.begun, directory, cancel);
  if (whole_pages) out.settled = changed_at(directory / kControl) - kSettledAfter;
  const auto control = read_living_control(directory, cancel);
  out.pages.pages_a_segment = control.pages_a_segment;
  if (control.data_checksums) out.pages.page_size = control.page_size;
  return out;
}

void give_files(const fs::path& directory, FileSink& sink, FileGiver& files, BackupResult& result,
                const Cancel& cancel) {
  give_data_directory(directory, sink, files, result.tablespaces, cancel);
  result.bytes = files.bytes();
  result.files = files.files();
  // Last: on a standby it says how much WAL makes the files before it consistent.
  const Timestamp changed(changed_at(directory / kControl) / 1'000'000);
  give_whole(sink, result, kControl, changed, read_living_control(directory, cancel).bytes);
}

void end(Connection& sql, FileSink& sink, BackupResult& result) {
  const auto stopped = sql.query(
      "SELECT lsn, labelfile, floor(extract(epoch FROM now()) * 1000)::bigint "
      "FROM pg_catalog.pg_backup_stop(false)");
  result.stop_lsn = stopped.lsn(0, 0);
  read_label(stopped.text(0, 1), result);
  const Timestamp now(static_cast<std::int64_t>(stopped.number(0, 2)));
  give_whole(sink, result, "backup_label", now, result.backup_label);
}

}  // namespace

BackupResult take_file_backup(const Config& config, const BackupOptions& options,
                              const fs::path& directory, FileSink& sink, const Cancel& cancel,
                              const ProgressFunction& progress) {
  return while_doing("taking a base backup from " + directory.string(), [&] {
    const auto info = identify(config, cancel);
    BackupResult result;
    result.system_identifier = info.system_identifier;
    result.server_version = info.server_version;
    result.wal_segment_size = info.wal_segment_size;
    // The backup ends with this connection, whatever happens.
    Connection sql(config, Mode::sql, cancel);
    prove_directory(sql, info.system_identifier, directory, read_living_control(directory, cancel));
    const auto begun = begin(sql, options, directory, cancel);
    FileGiver files(sink, begun.settled, cancel, progress, begun.pages);
    give_files(directory, sink, files, result, cancel);
    files.pages().expect_none();
    end(sql, sink, result);
    result.stop_timeline = identify(config, cancel).timeline;
    return result;
  });
}

std::vector<Finding> check_file_backup(const Config& config, const fs::path& directory,
                                       const Cancel& cancel) {
  std::vector<Finding> out;
  auto add = [&](std::string name, const std::function<std::string()>& look) {
    try {
      out.push_back({std::move(name), true, false, look(), {}});
    } catch (const Error& error) {
      if (error.code() == Code::cancelled) throw;
      out.push_back({std::move(name), false, false, error.what(), error.hint()});
    }
  };
  add("data directory", [&] {
    Connection sql(config, Mode::sql, cancel);
    prove_directory(sql, identify(config, cancel).system_identifier, directory,
                    read_living_control(directory, cancel));
    return directory.string() + " is this server's and can be read";
  });
  add("backup functions", [&] {
    Connection sql(config, Mode::sql, cancel);
    const auto answer = sql.query(
        "SELECT pg_catalog.has_function_privilege('pg_catalog.pg_backup_start(text, boolean)', "
        "'EXECUTE') AND pg_catalog.has_function_privilege('pg_catalog.pg_backup_stop(boolean)', "
        "'EXECUTE')");
    if (answer.text(0, 0) == "t") return std::string("may be called");
    throw Error(Code::denied, "pg_backup_start()", "this role may not call it",
                kGrant + user_of(sql));
  });
  return out;
}

}  // namespace lifeboat::postgres
