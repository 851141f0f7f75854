#pragma once

namespace lifeboat::cli {

// The exit status of `wal-fetch` for every error. PostgreSQL takes a status from 1 to 125 for "not
// in the archive" and ends the recovery there as if all had been replayed; above 125 it stops
// (manual, chapter 26.3.4 and 20.5.5).
constexpr int kWalFetchFailed = 200;

}  // namespace lifeboat::cli
