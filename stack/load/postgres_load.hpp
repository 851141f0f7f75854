#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "ledger.hpp"
#include "pace.hpp"

struct pg_conn;

namespace loadgen {

struct PostgresStatus {
  std::string state;  ///< running, connecting, paused, stopped
  std::uint64_t begun = 0;
  std::uint64_t acknowledged = 0;
  std::uint64_t absent = 0;
  std::uint64_t unknown = 0;
};

/// Commits transactions at a set rate over two connections, a thread each; one of 25 is rolled back
/// on purpose. A lost connection is opened again with a pause in between, the transaction under way
/// is recorded as absent or unknown and never repeated. pause, resume, stop and status may be
/// called from any thread; the first three return when it is so.
class PostgresLoad {
 public:
  PostgresLoad(std::string connection, double rate, std::uint64_t seed, Ledger& ledger);
  ~PostgresLoad();
  PostgresLoad(const PostgresLoad&) = delete;
  PostgresLoad& operator=(const PostgresLoad&) = delete;

  void pause();
  void resume();
  void stop();
  [[nodiscard]] PostgresStatus status() const;

 private:
  enum class Wish { run, pause, stop };
  enum class State { connecting, running, paused, stopped };
  static constexpr std::uint32_t kConnections = 2;

  void run(std::uint32_t number, double rate, Random random);
  void commit_while_wished(pg_conn& connection, std::uint32_t number, Pace& pace, Random& random);
  [[nodiscard]] bool transaction(pg_conn& connection, std::uint32_t number, Random& random);
  void wish(Wish wish);
  void reach(std::uint32_t number, State state);
  [[nodiscard]] bool all(State state) const;

  std::string connection_;
  Ledger& ledger_;
  std::atomic<std::uint64_t> next_tx_;
  std::atomic<std::uint64_t> begun_ = 0;
  std::atomic<std::uint64_t> acknowledged_ = 0;
  std::atomic<std::uint64_t> absent_ = 0;
  std::atomic<std::uint64_t> unknown_ = 0;
  std::atomic<Wish> wish_ = Wish::run;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<State> states_;
  std::vector<std::thread> threads_;
};

}  // namespace loadgen
