#pragma once

#include <atomic>
#include <map>
#include <string>
#include <thread>

#include "local_server.hpp"

namespace lifeboat::postgres::test {

// Transactions against a server, in a thread of its own, and what was acknowledged of them. Each
// transaction writes two rows: a half of one is seen as such.
class Ledger {
 public:
  explicit Ledger(const LocalServer& server);
  ~Ledger();
  void stop();  // stops at a dead server by itself, too
  long acknowledged() const { return acknowledged_; }
  void wait_for_more(long transactions) const;

  // Compares the server's rows with the transactions 1 to `count`, which must be there, complete,
  // and nothing else. "" when all is well.
  static std::string compare(const LocalServer& server, long count);

 private:
  const LocalServer& server_;
  std::atomic<bool> stop_ = false;
  std::atomic<long> acknowledged_ = 0;
  std::thread thread_;
};

}  // namespace lifeboat::postgres::test
