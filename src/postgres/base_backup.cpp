#include "postgres/base_backup.hpp"

#include <libpq-fe.h>

#include <charconv>

#include "base/bytes.hpp"
#include "postgres/server.hpp"
#include "postgres/tar_parser.hpp"

namespace lifeboat::postgres {

namespace {

constexpr std::size_t kLabelFileLimit = 64 << 10;
constexpr std::size_t kPiece = 1 << 20;
constexpr std::string_view kTablespaces = "pg_tblspc/";

Error protocol_error(const std::string& why) {
  return Error(Code::corrupt, "base backup", why).during("reading the server's backup stream");
}

std::optional<std::uint32_t> parse_oid(std::string_view text) {
  std::uint32_t oid = 0;
  const auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), oid);
  if (error != std::errc() || at != text.data() + text.size() || oid == 0) return std::nullopt;
  return oid;
}

// Single quotes and no backslashes to read: what the replication grammar takes.
std::string quote(std::string_view text) {
  std::string out = "'";
  for (const char c : text) out.append(c == '\'' ? 2 : 1, c);
  return out + "'";
}

// One archive: puts its place before its entries and hands them to the sink.
class Archive : public TarVisitor {
 public:
  Archive(BackupSink& sink, BackupResult& result, std::string place)
      : sink_(sink), result_(result), place_(std::move(place)), parser_(*this, "base backup") {}

  void feed(std::string_view bytes) { parser_.feed(bytes); }
  void finish() const { parser_.finish(); }

  void entry(const TarEntry& entry) override {
    const auto path = place_ + entry.path;
    switch (entry.kind) {
      case TarKind::directory:
        return begin_directory(path, entry.mode);
      case TarKind::symlink:
        return check_link(path, entry.target);
      case TarKind::file:
        break;
    }
    in_label_ = path == "backup_label";
    ++result_.files;
    sink_.begin_file(path, entry.size, entry.mode, entry.mtime);
  }
  void file_data(std::string_view piece) override {
    if (in_label_ && result_.backup_label.size() + piece.size() <= kLabelFileLimit) {
      result_.backup_label.append(piece);
    }
    result_.bytes = result_.bytes + piece.size();
    sink_.data(piece);
  }
  void file_end() override { sink_.end_file(); }

 private:
  void begin_directory(const std::string& path, int mode) {
    // Given before the tablespaces, which come first in the stream.
    if (path + "/" == kTablespaces && !result_.tablespaces.empty()) return;
    sink_.begin_directory(path, mode);
  }
  // The links were given from the server's list of tablespaces already.
  void check_link(const std::string& path, const std::string& target) const {
    for (const auto& tablespace : result_.tablespaces) {
      if (path == fmt::format("{}{}", kTablespaces, tablespace.oid) &&
          target == tablespace.location) {
        return;
      }
    }
    throw protocol_error("a link that is no tablespace: " + path);
  }

  BackupSink& sink_;
  BackupResult& result_;
  std::string place_;
  bool in_label_ = false;
  TarParser parser_;
};

// The messages inside the one CopyOut of PostgreSQL 15 and newer: new archive, manifest, data,
// progress.
class Stream {
 public:
  Stream(BackupSink& sink, BackupResult& result, BackupProgress progress,
         const ProgressFunction& report)
      : sink_(sink), result_(result), progress_(progress), report_(report) {}

  void message(std::string_view bytes) {
    ByteReader reader(bytes, "base backup");
    const char type = reader.take(1)[0];
    switch (type) {
      case 'n':
        return new_archive(reader.rest());
      case 'm':
        return manifest();
      case 'd':
        return data(reader.rest());
      case 'p':
        progress_.done = ByteCount(reader.be<std::uint64_t>());
        if (report_) report_(progress_);
        return;
      default:
        throw protocol_error(fmt::format("a message of type {:#04x}", static_cast<unsigned>(type)));
    }
  }
  void finish() {
    if (!in_manifest_) throw protocol_error("the stream ends without a manifest");
    sink_.end_file();
    if (!base_seen_ || tablespaces_seen_ != result_.tablespaces.size()) {
      throw protocol_error("the stream ends before all archives came");
    }
  }

 private:
  void new_archive(std::string_view bytes) {
    if (in_manifest_) throw protocol_error("an archive after the manifest");
    const auto end = bytes.find('\0');
    if (end == std::string_view::npos) throw protocol_error("an archive without a name");
    const auto name = bytes.substr(0, end);
    end_archive();
    archive_.emplace(sink_, result_, place_of(name));
  }
  std::string place_of(std::string_view name) {
    if (name == "base.tar") {
      if (base_seen_) throw protocol_error("two base archives");
      base_seen_ = true;
      return {};
    }
    const auto oid = parse_oid(name.substr(0, name.find('.')));
    for (const auto& tablespace : result_.tablespaces) {
      if (tablespace.oid != oid) continue;
      ++tablespaces_seen_;
      return fmt::format("{}{}/", kTablespaces, tablespace.oid);
    }
    throw protocol_error("an archive with an unknown name");
  }
  void end_archive() {
    if (archive_) archive_->finish();
    archive_.reset();
  }
  void manifest() {
    if (in_manifest_) throw protocol_error("two manifests");
    end_archive();
    in_manifest_ = true;
    sink_.begin_stream("backup_manifest", 0600);
  }
  void data(std::string_view bytes) {
    if (!in_manifest_) {
      if (!archive_) throw protocol_error("data before an archive");
      archive_->feed(bytes);
      return;
    }
    for (; !bytes.empty(); bytes.remove_prefix(std::min(bytes.size(), kPiece))) {
      sink_.data(bytes.substr(0, kPiece));
    }
  }

  BackupSink& sink_;
  BackupResult& result_;
  BackupProgress progress_;
  const ProgressFunction& report_;
  std::optional<Archive> archive_;
  bool in_manifest_ = false;
  bool base_seen_ = false;
  std::size_t tablespaces_seen_ = 0;
};

// The list has the tablespaces and, with a NULL oid, the data directory; sizes are in kB.
ByteCount read_tablespaces(const Result& list, BackupResult& result) {
  ByteCount total;
  for (int row = 0; row < list.rows(); ++row) {
    if (list.get(row, 2)) total = total + list.number(row, 2) * 1024;
    if (!list.get(row, 0)) continue;
    const auto oid = parse_oid(list.text(row, 0));
    if (!oid) throw protocol_error("a tablespace without an oid");
    result.tablespaces.push_back({*oid, list.text(row, 1)});
  }
  return total;
}

void give_tablespaces(const BackupResult& result, BackupSink& sink) {
  if (result.tablespaces.empty()) return;
  sink.begin_directory(std::string(kTablespaces.substr(0, kTablespaces.size() - 1)), 0700);
  for (const auto& tablespace : result.tablespaces) {
    sink.symlink(fmt::format("{}{}", kTablespaces, tablespace.oid), tablespace.location);
  }
}

void copy_archives(Connection& replication, Stream& stream) {
  const auto copy = replication.next_result();
  if (!copy || PQresultStatus(copy->raw()) != PGRES_COPY_OUT) {
    throw protocol_error("no archives in the answer");
  }
  std::string_view message;
  for (;;) {
    switch (replication.copy_data(message)) {
      case Connection::Copied::data:
        stream.message(message);
        break;
      case Connection::Copied::nothing_yet:
        break;
      case Connection::Copied::end:
        return;
    }
  }
}

std::pair<Lsn, TimelineId> read_position(const Result& position) {
  return {position.lsn(0, 0), TimelineId(static_cast<std::uint32_t>(position.number(0, 1)))};
}

}  // namespace

BackupResult take_base_backup(const Config& config, const BackupOptions& options, BackupSink& sink,
                              const Cancel& cancel, const ProgressFunction& progress) {
  Connection replication(config, Mode::replication, cancel);
  return while_doing("taking a base backup", [&] {
    const auto info = identify(replication);
    BackupResult result;
    result.system_identifier = info.system_identifier;
    result.server_version = info.server_version;
    result.wal_segment_size = info.wal_segment_size;
    // WAIT false: the WAL comes through the receiver, not through the server's archive_command.
    replication.send(fmt::format(
        "BASE_BACKUP (LABEL {}, CHECKPOINT '{}', WAIT false, PROGRESS true, MANIFEST 'yes', "
        "MANIFEST_CHECKSUMS 'SHA256')",
        quote(options.label), options.fast_checkpoint ? "fast" : "spread"));
    std::tie(result.start_lsn, result.start_timeline) =
        read_position(replication.expect_rows("BASE_BACKUP"));
    const auto total = read_tablespaces(replication.expect_rows("BASE_BACKUP"), result);
    give_tablespaces(result, sink);
    Stream stream(sink, result, {ByteCount(0), total}, progress);
    copy_archives(replication, stream);
    // An error that came in place of more data is thrown here, before the stream is called whole.
    const auto end = replication.expect_rows("BASE_BACKUP");
    stream.finish();
    std::tie(result.stop_lsn, result.stop_timeline) = read_position(end);
    replication.expect_end("BASE_BACKUP");
    return result;
  });
}

}  // namespace lifeboat::postgres
