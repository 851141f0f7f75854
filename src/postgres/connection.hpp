#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/cancel.hpp"
#include "base/error.hpp"
#include "base/types.hpp"

struct pg_conn;
struct pg_result;

namespace lifeboat::postgres {

// How to reach a server. PGPASSWORD and ~/.pgpass work as with every libpq program.
struct Config {
  std::string conninfo;  // libpq URI or key=value; a dbname in it is used for SQL (else "postgres")
  std::string password;  // optional; wins over one in conninfo
  Millis connect_timeout{10000};
};

// "127.0.0.1:5432", for messages. Error(config) when conninfo cannot be read.
std::string server_name(const Config& config);

// A Cancel that nobody requests.
const Cancel& no_cancel();

enum class Mode { sql, replication };

// An answer of the server. Cells are text; nullopt is NULL. Rows and columns count from 0.
class Result {
 public:
  explicit Result(pg_result* result);
  int rows() const;
  int columns() const;
  std::optional<std::string> get(int row, int column) const;
  // Error(failed) when NULL or not there.
  std::string text(int row, int column) const;
  Lsn lsn(int row, int column) const;
  std::uint64_t number(int row, int column) const;
  pg_result* raw() const { return result_.get(); }

 private:
  struct Clear {
    void operator()(pg_result* result) const;
  };
  std::unique_ptr<pg_result, Clear> result_;
};

// One connection; one thread at a time. The socket is non-blocking: every wait ends within about
// 50 ms of a cancel, with Error(cancelled). (Name resolution alone is libpq's and blocks.)
//
// Errors: unavailable (not reachable, starting up, went away), timeout (connect_timeout), denied
// (password, pg_hba.conf, privilege; the hint says which), refused (wal_level=minimal), unsupported
// (older than PostgreSQL 15), config (conninfo, no such database), failed (anything else the server
// says). No message holds a password.
class Connection {
 public:
  Connection(const Config& config, Mode mode, const Cancel& cancel = no_cancel());
  Connection(Connection&&) noexcept;
  Connection& operator=(Connection&&) noexcept;
  ~Connection();

  int server_version() const;  // 150004 is 15.4
  const std::string& server() const { return server_; }

  // One statement (or replication command); its rows, or an empty result.
  Result query(std::string_view sql);

  // The parts of a dialogue with COPY (manual, chapter 55.2.6).
  void send(std::string_view sql);
  // The next result, nullopt at the end of the answers. A server's error is thrown.
  std::optional<Result> next_result();
  // Rows or command status are the only good outcome.
  Result expect_rows(std::string_view what);
  // The end of the answers is the only good outcome.
  void expect_end(std::string_view what);

  enum class Copied { data, nothing_yet, end };
  // One CopyData message into `out` (valid until the next call). Waits about 50 ms at most.
  Copied copy_data(std::string_view& out);
  // False when the socket does not take it now (nothing was queued).
  bool put_copy_data(std::string_view bytes);
  void put_copy_end();

 private:
  struct Finish {
    void operator()(pg_conn* conn) const;
  };
  struct FreeMemory {
    void operator()(char* memory) const;
  };
  void connect(const Config& config, Mode mode);
  bool wait_for_socket(bool write, Millis wait) const;
  void flush();
  [[noreturn]] void throw_lost(std::string_view doing) const;
  [[noreturn]] void throw_not_connected(Mode mode, const Config& config) const;
  void drain();

  std::string server_;
  const Cancel* cancel_;
  std::unique_ptr<pg_conn, Finish> conn_;
  std::unique_ptr<char, FreeMemory> copy_buffer_;
};

// The SQLSTATE of the server's error inside an Error thrown by this room; "" when there is none.
std::string sqlstate_of(const Error& error);

// Error(config) unless it is 1 to 63 of a-z, 0-9 and _.
void check_slot_name(std::string_view slot);

}  // namespace lifeboat::postgres
