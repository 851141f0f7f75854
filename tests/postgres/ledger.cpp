#include "ledger.hpp"

namespace lifeboat::postgres::test {

namespace {

std::string content(long id) {
  return fmt::format("row {} {}", id, id * 2654435761u % 1000003);
}

}  // namespace

Ledger::Ledger(const LocalServer& server) : server_(server) {
  server_.sql("CREATE TABLE first(id bigint PRIMARY KEY, content text)");
  server_.sql("CREATE TABLE second(id bigint PRIMARY KEY, content text)");
  thread_ = std::thread([this] {
    try {
      Connection sql(server_.config(), Mode::sql);
      while (!stop_) {
        const long id = acknowledged_ + 1;
        sql.query("BEGIN");
        sql.query(fmt::format("INSERT INTO first VALUES ({}, '{}')", id, content(id)));
        sql.query(fmt::format("INSERT INTO second VALUES ({}, '{}')", id, content(id)));
        sql.query("COMMIT");
        acknowledged_ = id;
      }
    } catch (const Error&) {
      // The server was killed: what was acknowledged stands.
    }
  });
}

Ledger::~Ledger() {
  stop();
}

void Ledger::stop() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
}

void Ledger::wait_for_more(long transactions) const {
  const long wanted = acknowledged_ + transactions;
  if (!eventually([&] { return acknowledged_ >= wanted; })) {
    throw Error(Code::timeout, "ledger", "the load does not go on");
  }
}

std::string Ledger::compare(const LocalServer& server, long count) {
  for (const char* table : {"first", "second"}) {
    const auto rows = server.sql(fmt::format("SELECT id, content FROM {} ORDER BY id", table));
    if (rows.rows() != count) {
      return fmt::format("{}: {} rows, {} acknowledged", table, rows.rows(), count);
    }
    for (int row = 0; row < rows.rows(); ++row) {
      const long id = row + 1;
      if (rows.text(row, 0) != std::to_string(id) || rows.text(row, 1) != content(id)) {
        return fmt::format("{}: row {} is {} {}", table, id, rows.text(row, 0), rows.text(row, 1));
      }
    }
  }
  const auto halves = server.value(
      "SELECT count(*) FROM first FULL JOIN second USING (id, content) "
      "WHERE first.id IS NULL OR second.id IS NULL");
  return halves == "0" ? "" : halves + " half transactions";
}

}  // namespace lifeboat::postgres::test
