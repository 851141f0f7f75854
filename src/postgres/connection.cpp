#include "postgres/connection.hpp"

#include <libpq-fe.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <utility>

#include "postgres/server_error.hpp"

namespace lifeboat::postgres {

namespace {

constexpr Millis kTick{50};  // how long a wait may not look at its Cancel
constexpr int kOldestVersion = 150000;

struct FreeOptions {
  void operator()(PQconninfoOption* options) const { PQconninfoFree(options); }
};
using Options = std::unique_ptr<PQconninfoOption, FreeOptions>;

// libpq's own message may repeat the text it could not read, and so a password: it is not used.
Options parse_conninfo(const Config& config) {
  Options options(PQconninfoParse(config.conninfo.c_str(), nullptr));
  if (!options) {
    throw Error(Code::config, "PostgreSQL", "the connection string cannot be read",
                "write a URI (postgresql://user@host:5432) or key=value pairs; in a URI, "
                "percent-encode special characters of the password, or use PGPASSWORD");
  }
  return options;
}

std::string option(const PQconninfoOption* options, std::string_view keyword) {
  for (auto* o = options; o->keyword != nullptr; ++o) {
    if (keyword == o->keyword && o->val != nullptr) return o->val;
  }
  return {};
}

// A password with an unescaped '@', ':' or '/' spills into host and port; a message that shows
// those would show it.
void check_host_and_port(const PQconninfoOption* options) {
  const auto host = option(options, "host");
  const auto port = option(options, "port");
  if (host.find('@') != std::string::npos && host.front() != '@') {
    throw Error(Code::config, "PostgreSQL", "the host in the connection string holds an '@'",
                "percent-encode special characters of the password, or use PGPASSWORD");
  }
  if (port.find_first_not_of("0123456789,") != std::string::npos) {
    throw Error(Code::config, "PostgreSQL", "the port in the connection string is not a number",
                "percent-encode special characters of the password, or use PGPASSWORD");
  }
}

struct Parameters {
  std::vector<std::string> keys, values;
  void set(std::string key, std::string value) {
    auto at = std::find(keys.begin(), keys.end(), key);
    if (at != keys.end()) {
      values[static_cast<std::size_t>(at - keys.begin())] = std::move(value);
      return;
    }
    keys.push_back(std::move(key));
    values.push_back(std::move(value));
  }
  static std::vector<const char*> pointers(const std::vector<std::string>& strings) {
    std::vector<const char*> out;
    for (const auto& s : strings) out.push_back(s.c_str());
    out.push_back(nullptr);
    return out;
  }
};

Parameters make_parameters(const Config& config, Mode mode) {
  Parameters parameters;
  parameters.set("fallback_application_name", "lifeboat");
  parameters.set("dbname", "postgres");
  // A server whose machine vanished is noticed by the kernel within a minute or so.
  parameters.set("keepalives_idle", "30");
  parameters.set("keepalives_interval", "10");
  parameters.set("keepalives_count", "3");
  const auto options = parse_conninfo(config);
  check_host_and_port(options.get());
  for (auto* o = options.get(); o->keyword != nullptr; ++o) {
    if (o->val != nullptr) parameters.set(o->keyword, o->val);
  }
  if (!config.password.empty()) parameters.set("password", config.password);
  if (mode == Mode::replication) {
    parameters.set("replication", "true");
    parameters.set("dbname", "replication");  // what .pgpass is searched for
  } else {
    parameters.set("replication", "false");
  }
  return parameters;
}

}  // namespace

std::string server_name(const Config& config) {
  const auto options = parse_conninfo(config);
  check_host_and_port(options.get());
  auto host = option(options.get(), "host");
  if (host.empty()) host = option(options.get(), "hostaddr");
  const auto port = option(options.get(), "port");
  return "PostgreSQL " + (host.empty() ? "localhost" : host) + ":" + (port.empty() ? "5432" : port);
}

const Cancel& no_cancel() {
  static const Cancel never;
  return never;
}

Result::Result(pg_result* result) : result_(result) {}
void Result::Clear::operator()(pg_result* result) const {
  PQclear(result);
}
int Result::rows() const {
  return PQntuples(raw());
}
int Result::columns() const {
  return PQnfields(raw());
}

std::optional<std::string> Result::get(int row, int column) const {
  if (row < 0 || row >= rows() || column < 0 || column >= columns()) return std::nullopt;
  if (PQgetisnull(raw(), row, column)) return std::nullopt;
  return std::string(PQgetvalue(raw(), row, column),
                     static_cast<std::size_t>(PQgetlength(raw(), row, column)));
}

std::string Result::text(int row, int column) const {
  auto value = get(row, column);
  if (value) return *std::move(value);
  throw Error(Code::failed, "PostgreSQL",
              fmt::format("no value in row {}, column {} of the answer", row, column));
}

Lsn Result::lsn(int row, int column) const {
  const auto value = text(row, column);
  if (auto lsn = parse_lsn(value)) return *lsn;
  throw Error(Code::failed, "PostgreSQL", "not an LSN: " + value);
}

std::uint64_t Result::number(int row, int column) const {
  const auto value = text(row, column);
  std::uint64_t n = 0;
  const auto* end = value.data() + value.size();
  if (auto [at, error] = std::from_chars(value.data(), end, n); error == std::errc() && at == end) {
    return n;
  }
  throw Error(Code::failed, "PostgreSQL", "not a number: " + value);
}

void Connection::Finish::operator()(pg_conn* conn) const {
  PQfinish(conn);
}
void Connection::FreeMemory::operator()(char* memory) const {
  PQfreemem(memory);
}

Connection::Connection(const Config& config, Mode mode, const Cancel& cancel)
    : server_(server_name(config)), cancel_(&cancel) {
  connect(config, mode);
}
Connection::Connection(Connection&&) noexcept = default;
Connection& Connection::operator=(Connection&&) noexcept = default;
Connection::~Connection() = default;

void Connection::connect(const Config& config, Mode mode) {
  const auto parameters = make_parameters(config, mode);
  conn_.reset(PQconnectStartParams(Parameters::pointers(parameters.keys).data(),
                                   Parameters::pointers(parameters.values).data(), 0));
  if (!conn_) throw Error(Code::failed, server_, "libpq has no memory");
  PQsetErrorVerbosity(conn_.get(), PQERRORS_VERBOSE);  // the SQLSTATE of a refused connection
  const auto deadline = Deadline::after(config.connect_timeout);
  auto next =
      PQstatus(conn_.get()) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING;
  while (next != PGRES_POLLING_OK) {
    if (next == PGRES_POLLING_FAILED) throw_not_connected(mode, config);
    if (deadline.passed()) {
      throw Error(Code::timeout, server_,
                  fmt::format("no connection within {} ms", config.connect_timeout.count()),
                  "is the address right, and does a firewall let it through?");
    }
    const auto wait = std::min(deadline.left(), kTick);
    if (wait_for_socket(next == PGRES_POLLING_WRITING, wait)) next = PQconnectPoll(conn_.get());
  }
  PQsetErrorVerbosity(conn_.get(), PQERRORS_DEFAULT);
  PQsetnonblocking(conn_.get(), 1);
  PQsetNoticeProcessor(conn_.get(), [](void*, const char*) {}, nullptr);
  if (server_version() < kOldestVersion) {
    throw Error(Code::unsupported, server_,
                fmt::format("PostgreSQL {} is too old, 15 is the oldest that works",
                            server_version() / 10000));
  }
}

void Connection::throw_not_connected(Mode mode, const Config& config) const {
  const auto refusal = parse_refusal(PQerrorMessage(conn_.get()));
  if (PQconnectionNeedsPassword(conn_.get())) {
    throw Error(Code::denied, server_, "the server asks for a password and none is known",
                "set PGPASSWORD, or a line in ~/.pgpass, or the password in the configuration");
  }
  // "too many clients" for a walsender mostly means that there can be none at all.
  if (mode == Mode::replication && refusal.sqlstate == "53300") {
    Connection sql(config, Mode::sql, *cancel_);
    if (sql.query("SHOW wal_level").text(0, 0) == "minimal") throw wal_level_error(server_);
    throw Error(Code::unavailable, server_, "no walsender is free (53300)",
                "raise max_wal_senders in postgresql.conf and restart the server");
  }
  const auto error = make_error(server_, refusal, Code::unavailable);
  if (mode == Mode::replication && refusal.sqlstate == "42501") {
    throw Error(
        error.code(), server_, error.message(),
        fmt::format("a superuser can run: ALTER ROLE \"{}\" REPLICATION", PQuser(conn_.get())));
  }
  throw error;
}

int Connection::server_version() const {
  return PQserverVersion(conn_.get());
}

bool Connection::wait_for_socket(bool write, Millis wait) const {
  cancel_->check();
  pollfd fd{PQsocket(conn_.get()), static_cast<short>(write ? POLLIN | POLLOUT : POLLIN), 0};
  if (fd.fd < 0) throw_lost("waiting");
  const auto ready = ::poll(&fd, 1, static_cast<int>(std::min(wait, kTick).count()));
  if (ready < 0 && errno != EINTR) throw system_error(errno, server_, "poll");
  cancel_->check();
  return ready > 0;
}

void Connection::throw_lost(std::string_view doing) const {
  auto refusal = parse_refusal(PQerrorMessage(conn_.get()));
  if (refusal.message.empty()) refusal.message = "the server went away";
  throw make_error(server_, refusal, Code::unavailable).during(std::string(doing));
}

void Connection::flush() {
  for (;;) {
    const int left = PQflush(conn_.get());
    if (left == 0) return;
    if (left < 0) throw_lost("sending");
    // Reading too, as the server may be blocked on what it sends to us.
    if (wait_for_socket(true, kTick) && !PQconsumeInput(conn_.get())) throw_lost("sending");
  }
}

void Connection::send(std::string_view sql) {
  if (!PQsendQuery(conn_.get(), std::string(sql).c_str())) throw_lost("sending a command");
  flush();
}

std::optional<Result> Connection::next_result() {
  while (PQisBusy(conn_.get())) {
    if (wait_for_socket(false, kTick) && !PQconsumeInput(conn_.get())) throw_lost("reading");
  }
  auto* raw = PQgetResult(conn_.get());
  if (raw == nullptr) return std::nullopt;
  Result result(raw);
  const auto status = PQresultStatus(raw);
  if (status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE) {
    const auto refusal = refusal_of(raw);
    // Without a SQLSTATE it is libpq that speaks, about the connection.
    const bool lost = PQstatus(conn_.get()) == CONNECTION_BAD;
    auto error = make_error(server_, refusal, lost ? Code::unavailable : Code::failed);
    if (!lost) drain();
    throw error;
  }
  return result;
}

// After an error: reads on to the end of the answers, so that the connection can be used again.
void Connection::drain() {
  for (;;) {
    while (PQisBusy(conn_.get())) {
      if (wait_for_socket(false, kTick) && !PQconsumeInput(conn_.get())) return;
    }
    const Result result(PQgetResult(conn_.get()));
    if (result.raw() == nullptr) return;
    const auto status = PQresultStatus(result.raw());
    if (status == PGRES_COPY_OUT || status == PGRES_COPY_IN || status == PGRES_COPY_BOTH) return;
  }
}

Result Connection::query(std::string_view sql) {
  send(sql);
  std::optional<Result> last;
  while (auto result = next_result()) last = std::move(result);
  if (!last) throw Error(Code::failed, server_, "no answer to a command");
  return *std::move(last);
}

Result Connection::expect_rows(std::string_view what) {
  auto result = next_result();
  const auto status = result ? PQresultStatus(result->raw()) : PGRES_EMPTY_QUERY;
  if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) return *std::move(result);
  throw Error(Code::corrupt, server_,
              fmt::format("unexpected answer to {}: {}", what, PQresStatus(status)));
}

void Connection::expect_end(std::string_view what) {
  while (auto result = next_result()) {
    const auto status = PQresultStatus(result->raw());
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) continue;
    throw Error(Code::corrupt, server_,
                fmt::format("unexpected end of {}: {}", what, PQresStatus(status)));
  }
}

Connection::Copied Connection::copy_data(std::string_view& out) {
  for (bool waited = false;; waited = true) {
    char* buffer = nullptr;
    const int n = PQgetCopyData(conn_.get(), &buffer, 1);
    copy_buffer_.reset(buffer);
    if (n > 0) {
      out = std::string_view(buffer, static_cast<std::size_t>(n));
      return Copied::data;
    }
    if (n == -1) return Copied::end;
    if (n < 0) throw_lost("reading a stream");
    if (waited) return Copied::nothing_yet;
    if (wait_for_socket(false, kTick) && !PQconsumeInput(conn_.get()))
      throw_lost("reading a stream");
  }
}

bool Connection::put_copy_data(std::string_view bytes) {
  const int sent = PQputCopyData(conn_.get(), bytes.data(), static_cast<int>(bytes.size()));
  if (sent < 0 || PQflush(conn_.get()) < 0) throw_lost("writing to a stream");
  return sent == 1;
}

void Connection::put_copy_end() {
  int sent = 0;
  while ((sent = PQputCopyEnd(conn_.get(), nullptr)) == 0) wait_for_socket(true, kTick);
  if (sent < 0) throw_lost("ending a stream");
  flush();
}

}  // namespace lifeboat::postgres
