// A program that archives logs and takes points dies at a random write, again and again. Whatever
// it had published or reported durable must be there, whole, and the next run goes on without any
// repair. The seed is printed with each failure.
#include <csignal>
#include <thread>

#include "store/crash_store.hpp"
#include "vault/logbook_keeper.hpp"
#include "vault_fixture.hpp"

namespace lifeboat::vault {
namespace {

using store::Crashed;
using store::CrashStore;

const std::vector<LogName> kLogs = {
    {"postgres/7301/00000001"}, {"kafka/c/t/events/0"}, {"kafka/c/t/events/1"}};

// What the program knows to be safe; kept outside of the vault, as a user would.
struct Promised {
  std::mutex mutex;
  std::map<LogName, std::vector<Range>> durable;
  std::vector<std::string> points;
};

// The state of "the database" at a position of its log: some files that change slowly.
std::map<std::string, std::string> files_at(std::int64_t position) {
  std::map<std::string, std::string> files;
  for (std::int64_t i = 0; i < 6; ++i) {
    auto version = static_cast<std::uint64_t>((position + i * 700) / 4000);
    files["base/" + std::to_string(i)] = noise(static_cast<std::size_t>(900 * i), version);
  }
  return files;
}

// Eager ones: everything is merged, and removed at once.
KeeperOptions keeper_options() {
  KeeperOptions options;
  options.merge.after = Millis(0);
  options.merge.to = ByteCount(20'000);
  options.merge.least = 3;
  options.remove_after = Millis(0);
  options.summarize_objects = 4;
  return options;
}

// One life of the program. Ends by itself, or with Crashed.
class Program {
 public:
  Program(Kind kind, store::ObjectStore& store, std::uint64_t seed, Clock& clock,
          Promised& promised)
      : kind_(kind),
        store_(store),
        random_(seed),
        keeper_random_(seed + 1'000'000),
        clock_(clock),
        promised_(promised) {}

  void live(int steps) {
    Vault vault = Vault::exists(store_) ? open_vault(kind_, store_)
                                        : make_vault(kind_, store_, clock_, random_);
    auto book = Logbook::load(vault);
    EXPECT_TRUE(book.damaged().empty());
    for (const auto& log : kLogs) at_[log] = book.next(log).value_or(Position(0));
    LogbookOptions options;
    options.flush_interval = std::chrono::hours(1);
    options.flush_bytes = ByteCount(4000);
    LogbookWriter writer(vault, options, clock_, random_);
    writer.on_durable([&](const std::vector<Extent>& extents) {
      std::lock_guard lock(promised_.mutex);
      for (const auto& e : extents) promised_.durable[e.log].push_back({e.base, e.next});
    });
    LogbookKeeper keeper(vault, keeper_options(), {}, clock_, keeper_random_);
    for (int i = 0; i < steps; ++i) {
      step(vault, writer);
      if (keeper_random_.below(4) == 0) keeper.keep({writer.incarnation()}, cancel_);
    }
    writer.close(cancel_);
  }

 private:
  void step(const Vault& vault, LogbookWriter& writer) {
    for (const auto& log : kLogs) {
      auto size = static_cast<std::int64_t>(1 + random_.below(900));
      Position from = at_[log];
      // Now and then something is sent again, as a source does after a reconnect.
      if (random_.below(8) == 0) from = Position(from.value / 2);
      Position to = at_[log] + size;
      writer.append(extent(log.value, from.value, to.value), wal(from.value, to.value), cancel_);
      at_[log] = to;
    }
    if (random_.below(3) == 0) writer.flush(cancel_);
    if (random_.below(3) == 0) take_point(vault, writer);
  }

  void take_point(const Vault& vault, LogbookWriter& writer) {
    RecoveryPoint point;
    point.id = make_point_id(clock_, random_);
    point.created = clock_.now();
    std::int64_t position = at_[kLogs[0]].value;
    SnapshotOptions options;
    options.sizes = {256, 512, 1024};
    options.chunks.pack_size = ByteCount(3000);
    SnapshotWriter tree(vault, "test", options);
    for (const auto& [path, bytes] : files_at(position)) {
      tree.add_file(path, 0600, Timestamp(0), bytes);
    }
    auto snapshot = tree.finish({{"position", position}});
    writer.flush(cancel_);
    nlohmann::json logs = nlohmann::json::array();
    for (const auto& log : kLogs) {
      logs.push_back(
          {{"log", log.value}, {"position", at_[log].value / 2}, {"until", at_[log].value}});
    }
    point.stores = {{"test", {{"snapshot", snapshot.hex()}, {"logs", logs}}}};
    point.finished = clock_.now();
    write_point(vault, point);
    std::lock_guard lock(promised_.mutex);
    promised_.points.push_back(point.id);
  }

  Kind kind_;
  store::ObjectStore& store_;
  Random random_;
  Random keeper_random_;
  Clock& clock_;
  Promised& promised_;
  Cancel cancel_;
  std::map<LogName, Position> at_;
};

void check_point_reads_back(const Vault& vault, const Logbook& book, const RecoveryPoint& point) {
  for (const auto& id : snapshots_of(point)) {
    SnapshotReader reader(vault, id);
    auto expected = files_at(reader.meta().at("position").get<std::int64_t>());
    reader.for_each([&](const Entry& entry) {
      std::string bytes;
      reader.read_file(entry, [&](std::string_view part) { bytes += part; });
      EXPECT_EQ(bytes, expected.at(entry.path));
      expected.erase(entry.path);
    });
    EXPECT_TRUE(expected.empty());
  }
  for (const auto& start : logs_of(point)) {
    EXPECT_EQ(book.read_bytes(start.log, start.position, *start.until),
              wal(start.position.value, start.until->value));
  }
}

// Everything that was promised is there, and nothing is broken.
void check(Kind kind, store::ObjectStore& store, Promised& promised) {
  if (!Vault::exists(store)) {
    EXPECT_TRUE(promised.points.empty());
    EXPECT_TRUE(promised.durable.empty());
    return;
  }
  Vault vault = open_vault(kind, store);
  auto report = verify(vault, {}, Cancel());
  for (const auto& damage : report.damages) {
    ADD_FAILURE() << damage.object << ": " << damage.problem;
  }
  auto book = Logbook::load(vault);
  std::set<std::string> listed;
  for (const auto& entry : list_points(vault)) {
    ASSERT_TRUE(entry.point) << entry.problem;
    listed.insert(entry.id);
    check_point_reads_back(vault, book, *entry.point);
  }
  for (const auto& id : promised.points) EXPECT_EQ(listed.count(id), 1u) << id << " is lost";
  for (const auto& [log, ranges] : promised.durable) {
    for (const auto& range : ranges) {
      EXPECT_EQ(book.read_bytes(log, range.from, range.to), wal(range.from.value, range.to.value));
    }
    EXPECT_TRUE(book.coverage(log).holes.empty());
  }
}

// One seed: several lives, each but the last cut short.
void crash_again_and_again(Kind kind, store::ObjectStore& disk, std::uint64_t seed, int lives) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  Random random(seed);
  ManualClock clock{Timestamp(1'800'000'000'000)};
  Promised promised;
  int crashes = 0;
  for (int life = 0; life < lives; ++life) {
    clock.advance(Millis(1 + random.below(5000)));
    CrashStore store(
        disk, 1 + random.below(life == 0 ? 4 : 60),
        random.below(2) == 0 ? CrashStore::LastWrite::happens : CrashStore::LastWrite::does_not);
    try {
      Program(kind, store, random.next(), clock, promised).live(12);
    } catch (const Crashed&) {
      ++crashes;
    }
    check(kind, disk, promised);
    if (::testing::Test::HasFailure()) return;
  }
  EXPECT_GT(crashes, 0);
  clock.advance(Millis(1000));
  Program(kind, disk, random.next(), clock, promised).live(12);  // a whole life, after all that
  check(kind, disk, promised);
  EXPECT_FALSE(promised.points.empty());
}

using Crash = ::testing::TestWithParam<Kind>;

TEST_P(Crash, SixtySeedsInMemory) {
  for (std::uint64_t seed = 1; seed <= 60 && !::testing::Test::HasFailure(); ++seed) {
    MemoryStore disk;
    crash_again_and_again(GetParam(), disk, seed, 6);
  }
}

TEST_P(Crash, SixSeedsInADirectory) {
  for (std::uint64_t seed = 101; seed <= 106 && !::testing::Test::HasFailure(); ++seed) {
    store::TemporaryDirectory directory;
    store::DirectoryStore disk(directory.path());
    crash_again_and_again(GetParam(), disk, seed, 3);
  }
}

// Every single write of one life, not happening and happening.
TEST_P(Crash, AtEachWriteOfALife) {
  const auto kind = GetParam();
  std::uint64_t at = 1;
  for (bool crashed = true; crashed && !::testing::Test::HasFailure(); ++at) {
    crashed = false;
    for (auto last : {CrashStore::LastWrite::happens, CrashStore::LastWrite::does_not}) {
      SCOPED_TRACE("write " + std::to_string(at));
      MemoryStore disk;
      CrashStore store(disk, at, last);
      ManualClock clock{Timestamp(1'800'000'000'000)};
      Promised promised;
      try {
        Program(kind, store, 5, clock, promised).live(8);
      } catch (const Crashed&) {
        crashed = true;
      }
      check(kind, disk, promised);
      clock.advance(Millis(1));
      Program(kind, disk, 6, clock, promised).live(4);
      check(kind, disk, promised);
    }
  }
  EXPECT_GT(at, 14u);  // until a life got through
}

// The same with a real process and SIGKILL. What it promised comes through a pipe.
TEST_P(Crash, SigkillOfARealProcess) {
  const auto kind = GetParam();
  store::TemporaryDirectory directory;
  Promised promised;
  Random random(11);
  for (int life = 0; life < 12; ++life) {
    int pipe_ends[2];
    ASSERT_EQ(::pipe(pipe_ends), 0);
    pid_t pid = ::fork();
    ASSERT_GE(pid, 0);
    if (pid == 0) {
      ::close(pipe_ends[0]);
      store::DirectoryStore disk(directory.path());
      for (std::uint64_t i = 0;; ++i) {
        ManualClock clock{Timestamp(1'800'000'000'000 + life * 100'000 + static_cast<int>(i))};
        Promised own;
        Program(kind, disk, static_cast<std::uint64_t>(life) * 1000 + i, clock, own).live(3);
        std::string line;
        for (const auto& id : own.points) line += id + "\n";
        line += "\n";
        if (::write(pipe_ends[1], line.data(), line.size()) < 0) ::_exit(1);
      }
    }
    ::close(pipe_ends[1]);
    // It has lived once, at least; then it dies at whatever it is doing.
    std::string told;
    char buffer[4096];
    ssize_t n = ::read(pipe_ends[0], buffer, sizeof buffer);
    ASSERT_GT(n, 0);
    told.append(buffer, static_cast<std::size_t>(n));
    ::usleep(static_cast<useconds_t>(random.below(30'000)));
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    while ((n = ::read(pipe_ends[0], buffer, sizeof buffer)) > 0) {
      told.append(buffer, static_cast<std::size_t>(n));
    }
    ::close(pipe_ends[0]);
    for (std::size_t end = 0; (end = told.find('\n')) != std::string::npos;) {
      if (end > 0) promised.points.push_back(told.substr(0, end));
      told.erase(0, end + 1);
    }
    store::DirectoryStore disk(directory.path());
    check(kind, disk, promised);
    ASSERT_FALSE(::testing::Test::HasFailure()) << "life " << life;
  }
}

LIFEBOAT_ON_BOTH_KINDS(Crash);

}  // namespace
}  // namespace lifeboat::vault
