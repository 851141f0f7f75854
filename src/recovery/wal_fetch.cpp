#include "recovery/wal_fetch.hpp"

#include <fmt/format.h>

#include <set>

#include "base/error.hpp"
#include "base/file.hpp"
#include "postgres/wal_file.hpp"
#include "recovery/log_names.hpp"
#include "vault/logbook.hpp"
#include "vault/points.hpp"

namespace lifeboat::recovery {
namespace {

// Which cluster's WAL: the vault may hold several that followed each other (a new initdb).
struct Cluster {
  std::uint64_t system_identifier = 0;
  ByteCount segment_size{16u << 20};
};

Cluster cluster_of(const vault::Vault& vault) {
  auto points = vault::list_points(vault);
  for (auto it = points.rbegin(); it != points.rend(); ++it) {
    if (!it->point || !it->point->stores.contains("postgres")) continue;
    const auto& document = it->point->stores["postgres"];
    try {
      return {std::stoull(document.at("system_identifier").get<std::string>()),
              ByteCount(document.at("wal_segment_size").get<std::uint64_t>())};
    } catch (const std::exception&) {
      throw Error(Code::corrupt, "point " + it->id, "has an unreadable part of PostgreSQL");
    }
  }
  throw Error(Code::not_found, "vault", "holds no point with PostgreSQL",
              "look at `lifeboat points`; --vault must name the vault that was restored from");
}

bool fetch_history(const vault::Logbook& logbook, const Cluster& cluster, TimelineId timeline,
                   const std::filesystem::path& destination) {
  auto log = history_log_name({cluster.system_identifier, timeline});
  auto next = logbook.next(log);
  if (!next) return false;
  write_file_durably(destination, logbook.read_bytes(log, Position(0), *next));
  return true;
}

}  // namespace

bool wal_fetch(const vault::Vault& vault, const std::string& name,
               const std::filesystem::path& destination, std::optional<Lsn> until) {
  auto cluster = cluster_of(vault);
  auto logbook = vault::Logbook::load(vault);
  if (auto lost = logbook.lost()) {
    // A damaged object may be what hides the next WAL: the end must not be taken from it.
    throw lost->error;
  }
  if (auto timeline = postgres::parse_history_file_name(name)) {
    return fetch_history(logbook, cluster, *timeline, destination);
  }
  auto file = postgres::parse_wal_file_name(name, cluster.segment_size);
  if (!file) return false;  // .backup and .partial files are not kept
  auto log = wal_log_name({cluster.system_identifier, file->timeline});
  Position start(static_cast<std::int64_t>(file->start.value));
  Position end = start + static_cast<std::int64_t>(cluster.segment_size.value);
  auto held = logbook.next(log);
  if (held && until) held = std::min(*held, Position(static_cast<std::int64_t>(until->value)));
  if (!held || *held <= start) return false;
  std::string bytes = logbook.read_bytes(log, start, std::min(*held, end));
  bytes.resize(cluster.segment_size.value, '\0');
  write_file_durably(destination, bytes);
  return true;
}

}  // namespace lifeboat::recovery
