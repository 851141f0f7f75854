#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/cancel.hpp"
#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/random.hpp"
#include "clickhouse/client.hpp"
#include "kafka/types.hpp"
#include "postgres/connection.hpp"
#include "recovery/config.hpp"
#include "store/metered_store.hpp"
#include "vault/vault.hpp"
#include "zookeeper/tree.hpp"

namespace lifeboat::recovery {

// Where progress is told. Calls may come from several threads.
class Reporter {
 public:
  virtual ~Reporter() = default;
  // A step of a longer operation begins or has ended ("clickhouse-data", "Restore the tables").
  virtual void step_begins(const std::string& name, const std::string& title) = 0;
  virtual void step_ends(const std::string& name, double seconds) = 0;
  // Within the current step; total 0: not known. Unit: "bytes", "records", "tables", "files".
  virtual void progress(std::string_view what, std::uint64_t done, std::uint64_t total,
                        std::string_view unit) = 0;
  // Something that the operator should read, or must do now.
  virtual void note(const std::string& text) = 0;
};

// What every operation needs, passed by reference; nothing in it is global.
struct Context {
  const Config& config;
  Clock& clock;
  Random& random;
  const Cancel& cancel;
  Reporter& reporter;
};

// Runs one step between step_begins and step_ends.
template <typename F>
auto step(const Context& c, const std::string& name, const std::string& title, F&& f) {
  struct End {
    const Context& c;
    const std::string& name;
    std::chrono::steady_clock::time_point begun = c.clock.steady();
    ~End() { c.reporter.step_ends(name, seconds_between(begun, c.clock.steady())); }
  };
  c.reporter.step_begins(name, title);
  return while_doing(title, [&] {
    End end{c, name};
    return f();
  });
}

// What `look` says of a server; false when the server is down or does not answer yet.
template <typename F>
bool answers(F&& look) {
  try {
    return look();
  } catch (const Error& error) {
    if (error.code() != Code::unavailable && error.code() != Code::timeout) throw;
    return false;
  }
}

// The vault's store; it locks what it writes as lifeboat.yaml says.
std::unique_ptr<store::ObjectStore> open_store(const Config& config);

// The vault with the store under it, which counts what goes through.
struct OpenVault {
  std::unique_ptr<store::MeteredStore> store;
  vault::Vault vault;
};
// With the key that vault_key() gives. Errors of Vault::open().
OpenVault open_vault(const Config& config);

// The clients' configurations. Error(config) when lifeboat.yaml has no such section.
kafka::Config kafka_config(const Config& config);
postgres::Config postgres_config(const Config& config);
clickhouse::Config clickhouse_config(const Config& config);
zookeeper::Config zookeeper_config(const Config& config);

}  // namespace lifeboat::recovery
