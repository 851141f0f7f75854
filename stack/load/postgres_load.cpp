#include "postgres_load.hpp"

#include <fmt/format.h>
#include <libpq-fe.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <initializer_list>

#include "generate.hpp"

namespace loadgen {
namespace {

constexpr auto kTick = std::chrono::milliseconds(5);
constexpr auto kBackoff = std::chrono::milliseconds(200);
constexpr std::uint32_t kRollBackOneIn = 25;

struct Finish {
  void operator()(PGconn* connection) const { PQfinish(connection); }
};
struct Clear {
  void operator()(PGresult* result) const { PQclear(result); }
};
using Connection = std::unique_ptr<PGconn, Finish>;
using Result = std::unique_ptr<PGresult, Clear>;

/// Empty when the statement failed.
Result execute(PGconn& connection, const char* statement,
               std::initializer_list<std::string> values = {}) {
  std::vector<const char*> parameters;
  for (const std::string& value : values) parameters.push_back(value.c_str());
  Result result(PQexecParams(&connection, statement, static_cast<int>(parameters.size()), nullptr,
                             parameters.data(), nullptr, nullptr, 0));
  const auto status = PQresultStatus(result.get());
  if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) result.reset();
  return result;
}

struct Content {
  std::uint64_t tx_id;
  std::uint32_t team;
  std::uint32_t flag;
  std::uint32_t rollout;
  std::string email;
  std::string name;
  std::string secret;
};

Content make_content(std::uint64_t tx_id, Random& random) {
  return {tx_id,
          1 + random.below(kTeams),
          1 + random.below(kFlags),
          random.below(101),
          fmt::format("user{}@example.com", tx_id),
          fmt::format("name {:x}", random.next()),
          fmt::format("phx_{:016x}{:016x}", random.next(), random.next())};
}

/// The first 8 bytes of SHA-256.
std::uint64_t hash_of(const Content& content) {
  const std::string text =
      fmt::format("{}|{}|{}|{}|{}|{}|{}", content.tx_id, content.team, content.email, content.name,
                  content.secret, content.flag, content.rollout);
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  std::uint64_t hash = 0;
  for (std::size_t i = 0; i < 8; ++i) hash = (hash << 8) | digest[i];
  return hash;
}

/// All but the COMMIT. Flag before team: two connections cannot wait for each other.
bool write(PGconn& connection, const Content& content, std::uint64_t hash) {
  const std::string tx = fmt::to_string(content.tx_id);
  const std::string team = fmt::to_string(content.team);
  const std::string flag = fmt::to_string(content.flag);
  const std::string rollout = fmt::to_string(content.rollout);
  if (!execute(connection, "BEGIN")) return false;
  const Result version = execute(connection,
                                 "UPDATE feature_flags SET version = version + 1, rollout = $2 "
                                 "WHERE id = $1 RETURNING version",
                                 {flag, rollout});
  if (!version || PQntuples(version.get()) != 1) return false;
  return execute(connection, "UPDATE teams SET member_count = member_count + 1 WHERE id = $1",
                 {team}) &&
         execute(connection,
                 "INSERT INTO users (id, team_id, email, name, tx_id) VALUES ($1, $2, $3, $4, $1)",
                 {tx, team, content.email, content.name}) &&
         execute(connection,
                 "INSERT INTO api_keys (id, user_id, team_id, secure_value, tx_id) VALUES ($1, $1, "
                 "$2, $3, $1)",
                 {tx, team, content.secret}) &&
         execute(connection,
                 "INSERT INTO feature_flag_changes (tx_id, flag_id, version, rollout) VALUES ($1, "
                 "$2, $3, $4)",
                 {tx, flag, PQgetvalue(version.get(), 0, 0), rollout}) &&
         execute(connection, "INSERT INTO load_tx (tx_id, content_hash) VALUES ($1, $2)",
                 {tx, fmt::format("{:016x}", hash)});
}

TransactionState commit(PGconn& connection) {
  const Result result(PQexec(&connection, "COMMIT"));
  if (PQresultStatus(result.get()) == PGRES_COMMAND_OK)
    return std::strcmp(PQcmdStatus(result.get()), "COMMIT") == 0 ? TransactionState::acknowledged
                                                                 : TransactionState::absent;
  return TransactionState::unknown;
}

}  // namespace

PostgresLoad::PostgresLoad(std::string connection, double rate, std::uint64_t seed, Ledger& ledger)
    : connection_(std::move(connection)),
      ledger_(ledger),
      // Ids grow from run to run, also on a server that keeps an earlier run's rows.
      next_tx_(now_us() / 1'000'000 * 100'000),
      states_(kConnections, State::connecting) {
  for (std::uint32_t number = 0; number < kConnections; ++number)
    threads_.emplace_back([this, number, rate, seed] {
      run(number, rate / kConnections, Random(seed + 1 + number));
    });
}

PostgresLoad::~PostgresLoad() {
  stop();
  for (std::thread& thread : threads_) thread.join();
}

void PostgresLoad::run(std::uint32_t number, double rate, Random random) {
  Pace pace(rate);
  while (wish_ != Wish::stop) {
    if (wish_ == Wish::pause) {
      reach(number, State::paused);
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return wish_ != Wish::pause; });
      continue;
    }
    reach(number, State::connecting);
    const Connection connection(PQconnectdb(connection_.c_str()));
    // What the server says while it dies is in the ledger by its effect.
    PQsetNoticeProcessor(connection.get(), [](void*, const char*) {}, nullptr);
    if (PQstatus(connection.get()) == CONNECTION_OK)
      commit_while_wished(*connection, number, pace, random);
    if (wish_ == Wish::run) std::this_thread::sleep_for(kBackoff);
  }
  reach(number, State::stopped);
}

void PostgresLoad::commit_while_wished(pg_conn& connection, std::uint32_t number, Pace& pace,
                                       Random& random) {
  pace.restart();
  reach(number, State::running);
  while (wish_ == Wish::run) {
    for (std::uint64_t due = pace.take_due(); due > 0 && wish_ == Wish::run; --due)
      if (!transaction(connection, number, random)) return;
    std::this_thread::sleep_for(kTick);
  }
}

bool PostgresLoad::transaction(pg_conn& connection, std::uint32_t number, Random& random) {
  const Content content = make_content(next_tx_++, random);
  const std::uint64_t hash = hash_of(content);
  ledger_.transaction({content.tx_id, now_us(), TransactionState::begun, number, hash});
  ++begun_;
  auto state = TransactionState::absent;
  bool usable = write(connection, content, hash);
  if (usable && random.below(kRollBackOneIn) == 0) {
    usable = execute(connection, "ROLLBACK") != nullptr;
  } else if (usable) {
    state = commit(connection);
    usable = state == TransactionState::acknowledged;
  }
  ledger_.transaction({content.tx_id, now_us(), state, number, hash});
  ++(state == TransactionState::acknowledged ? acknowledged_
     : state == TransactionState::absent     ? absent_
                                             : unknown_);
  return usable;
}

void PostgresLoad::wish(Wish wish) {
  const std::lock_guard lock(mutex_);
  if (wish_ != Wish::stop) wish_ = wish;
  changed_.notify_all();
}

void PostgresLoad::reach(std::uint32_t number, State state) {
  const std::lock_guard lock(mutex_);
  states_[number] = state;
  changed_.notify_all();
}

bool PostgresLoad::all(State state) const {
  return std::all_of(states_.begin(), states_.end(), [&](State each) { return each == state; });
}

void PostgresLoad::pause() {
  wish(Wish::pause);
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return all(State::paused) || all(State::stopped); });
}

void PostgresLoad::resume() {
  wish(Wish::run);
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] {
    return std::none_of(states_.begin(), states_.end(),
                        [](State each) { return each == State::paused; });
  });
}

void PostgresLoad::stop() {
  wish(Wish::stop);
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return all(State::stopped); });
}

PostgresStatus PostgresLoad::status() const {
  constexpr std::array<const char*, 4> kNames = {"connecting", "running", "paused", "stopped"};
  const std::lock_guard lock(mutex_);
  // The least advanced connection speaks for all, unless all have stopped.
  const State state = *std::min_element(states_.begin(), states_.end());
  return {kNames[static_cast<std::size_t>(state)], begun_, acknowledged_, absent_, unknown_};
}

}  // namespace loadgen
