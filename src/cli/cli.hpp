#pragma once

namespace lifeboat::cli {

// The whole program: reads the command line, runs one verb, prints errors; returns the exit status
// (see exit_code() in base/error.hpp; `wal-fetch` has its own, see wal_fetch.cpp).
int run(int argc, char** argv);

}  // namespace lifeboat::cli
