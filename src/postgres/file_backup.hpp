#pragma once

#include <filesystem>

#include "postgres/data_files.hpp"
#include "postgres/server.hpp"

namespace lifeboat::postgres {

// A base backup of a server whose data directory this machine can read: pg_backup_start(), the
// files from the directory, pg_backup_stop() (manual, chapter 26.3.3), without a manifest and
// without WAL, which a WalReceiver must be archiving meanwhile. The sink may know files that did
// not change since it saw them last, and they are not read; when the server has
// full_page_writes=off, no file is `settled`. Of a cluster with data checksums the pages that are
// read are compared with theirs, as the server does when it sends a base backup itself:
// Error(corrupt) at the end.
//
// Before anything is read, the directory is proven to be the server's: its system identifier, the
// port and start time in postmaster.pid, and the checkpoint that pg_backup_start() made or the
// next. Needs what take_base_backup() needs, EXECUTE on both functions, and to read the files (the
// server's user, or root). Errors as there; Error(refused) when it is not the server's directory,
// Error(unsupported) for a pg_control of another version than 15's and 16's.
BackupResult take_file_backup(const Config& config, const BackupOptions& options,
                              const std::filesystem::path& directory, FileSink& sink,
                              const Cancel& cancel, const ProgressFunction& progress = {});

// One line of `lifeboat check` each: is it the server's directory, may it be read, may this role
// call the functions?
std::vector<Finding> check_file_backup(const Config& config, const std::filesystem::path& directory,
                                       const Cancel& cancel = no_cancel());

}  // namespace lifeboat::postgres
