// A logbook of many objects, and how long an archiver takes to know where to go on.
//
//   lifeboat_bench_scale generate VAULT OBJECTS   of 8 extents each; prints {"seconds",
//   "summaries"} lifeboat_bench_scale resume VAULT             {"seconds", "logs",
//   "status_seconds"} lifeboat_bench_scale read VAULT               one log, all of it: {"seconds",
//   "bytes"}
#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/random.hpp"
#include "store/directory_store.hpp"
#include "vault/logbook_keeper.hpp"

namespace lifeboat::bench {
namespace {

namespace fs = std::filesystem;
using vault::Vault;

constexpr std::uint64_t kLogs = 24;
constexpr std::uint64_t kExtents = 8;
constexpr std::uint64_t kLife = 5000;  // objects of one incarnation
constexpr std::int64_t kRecords = 40;  // of an extent

vault::LogName log_name(std::uint64_t number) {
  return {fmt::format("kafka/oBrxq8FTT5i3tIbxVEhBMw/8v3DfBVHQQWGkzSEZk5dWA/events/{}", number)};
}

double seconds_since(std::chrono::steady_clock::time_point begun) {
  return seconds_between(begun, Clock::real().steady());
}

// Written past the store: nobody waits for a hundred thousand fsyncs.
void write_plainly(const fs::path& path, const std::vector<std::string_view>& parts) {
  std::ofstream file(path, std::ios::binary);
  for (const auto& part : parts) file << part;
  if (!file.flush()) throw Error(Code::failed, path.string(), "cannot be written");
}

void generate(const fs::path& place, std::uint64_t objects) {
  auto begun = Clock::real().steady();
  store::DirectoryStore::create(place);
  store::DirectoryStore store(place);
  Random random(1);
  Vault vault = Vault::create(store, Clock::real(), random);
  std::vector<std::int64_t> next(kLogs, 0);
  std::string incarnation;
  for (std::uint64_t i = 0; i < objects; ++i) {
    if (i % kLife == 0) {
      incarnation = fmt::format("20260101T{:09}Z-{}", i / kLife, random.hex(8));
      fs::create_directories(place / "logbook" / incarnation);
    }
    auto name = vault::logbook_name({incarnation, i % kLife});
    vault::LogbookObject object(name, 1);
    Timestamp time(1'767'225'600'000 + static_cast<std::int64_t>(i) * 5000);
    for (std::uint64_t e = 0; e < kExtents; ++e) {
      auto log = (i * 5 + e * 3) % kLogs;
      vault::Extent extent{log_name(log),
                           Position(next[log]),
                           Position(next[log] + kRecords),
                           time,
                           Timestamp(time.value + 4000),
                           fmt::format(R"({{"epochs":[[7,{}]]}})", next[log])};
      std::string bytes;
      while (bytes.size() < 64) append_le<std::uint64_t>(bytes, random.next());
      object.add(extent, {vault::piece_of(std::move(bytes))}, false);
      next[log] += kRecords;
    }
    write_plainly(place / name, object.finish(time, {}));
  }
  vault::LogbookKeeper keeper(vault, {}, {}, Clock::real(), random);
  auto summaries = keeper.catch_up(Cancel());
  fmt::print("{{\"seconds\": {:.3f}, \"summaries\": {}}}\n", seconds_since(begun), summaries);
}

// What an archiver does before its first Fetch.
void resume(const fs::path& place) {
  auto begun = Clock::real().steady();
  store::DirectoryStore store(place);
  Vault vault = Vault::open(store);
  Random random;
  vault::LogbookKeeper(vault, {}, {}, Clock::real(), random).catch_up(Cancel());
  auto book = vault::Logbook::load(vault);
  std::uint64_t known = 0;
  for (std::uint64_t log = 0; log < kLogs; ++log) {
    if (book.next(log_name(log)) && book.last_attributes(log_name(log))) ++known;
  }
  auto seconds = seconds_since(begun);
  if (known != kLogs || !book.damaged().empty()) {
    throw Error(Code::failed, place.string(), "not all logs are known");
  }
  begun = Clock::real().steady();
  auto logs = book.logs();
  for (const auto& log : logs) {
    if (log.gaps != 0) throw Error(Code::failed, log.log.value, "has gaps");
  }
  fmt::print("{{\"seconds\": {:.3f}, \"logs\": {}, \"status_seconds\": {:.3f}}}\n", seconds,
             logs.size(), seconds_since(begun));
}

void read(const fs::path& place) {
  auto begun = Clock::real().steady();
  store::DirectoryStore store(place);
  auto book = vault::Logbook::load(Vault::open(store));
  auto summary = book.logs().front();
  std::uint64_t bytes = 0;
  book.read(summary.log, summary.first, summary.next,
            [&](const vault::ExtentView& view) { bytes += view.bytes.size(); });
  fmt::print("{{\"seconds\": {:.3f}, \"bytes\": {}}}\n", seconds_since(begun), bytes);
}

int run(const std::vector<std::string>& words) {
  if (words.size() == 3 && words[0] == "generate") {
    generate(words[1], std::stoull(words[2]));
  } else if (words.size() == 2 && words[0] == "resume") {
    resume(words[1]);
  } else if (words.size() == 2 && words[0] == "read") {
    read(words[1]);
  } else {
    fmt::print(stderr, "generate VAULT OBJECTS | resume VAULT | read VAULT\n");
    return 2;
  }
  return 0;
}

}  // namespace
}  // namespace lifeboat::bench

int main(int argc, char** argv) {
  try {
    return lifeboat::bench::run({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    fmt::print(stderr, "lifeboat_bench_scale: {}\n", error.what());
    return 1;
  }
}
