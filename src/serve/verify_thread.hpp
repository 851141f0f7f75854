#pragma once

#include <optional>
#include <thread>

#include "recovery/context.hpp"
#include "recovery/verify.hpp"
#include "vault/vault.hpp"

namespace lifeboat::serve {

// Verifies every config.verify.every since the last verify that the vault knows of, as long as
// there are points; on a thread of its own that gives way to all others (its nice value, and that
// of the threads it starts). What it finds is kept, logged, and in the metrics; damage is logged as
// errors.
class VerifyThread {
 public:
  VerifyThread(const recovery::Context& outer, vault::Vault vault);
  VerifyThread(const VerifyThread&) = delete;
  VerifyThread& operator=(const VerifyThread&) = delete;
  ~VerifyThread();

 private:
  void run();
  bool due(Timestamp now);
  void verify();

  const recovery::Context& outer_;
  vault::Vault vault_;
  recovery::VerifyRequest request_;
  Random random_;  // Random is for one thread at a time
  Cancel cancel_;
  std::optional<Timestamp> last_;    // that ended, here or elsewhere
  std::optional<Timestamp> failed_;  // could not be run
  std::thread thread_;
};

// In the log, each damage with what to do. Pure but for that.
void log_result(const recovery::VerifyResult& result);

}  // namespace lifeboat::serve
