// Puts a folder into a vault and gets it back; prints one JSON line with what it took.
//
//   lifeboat_bench_vault generate FOLDER MEBIBYTES SEED   a folder like a database's
//   lifeboat_bench_vault put FOLDER VAULT                 {"snapshot", "bytes", "stored"}
//   lifeboat_bench_vault get VAULT SNAPSHOT FOLDER        {"bytes"}
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "base/bytes.hpp"
#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/random.hpp"
#include "store/directory_store.hpp"
#include "vault/snapshot.hpp"

namespace lifeboat::bench {
namespace {

namespace fs = std::filesystem;
using vault::Vault;

// Rows as a table of events has them: some of it repeats, some does not.
std::string rows(std::size_t size, Random& random) {
  std::string out;
  while (out.size() < size) {
    out +=
        fmt::format(R"({{"uuid":"{}","event":"$pageview","team_id":{},"time":{},"url":"/p/{}"}})",
                    random.hex(32), random.below(20), 1'763'000'000 + random.below(100'000),
                    random.below(5000));
    out += '\n';
  }
  out.resize(size);
  return out;
}

std::string noise(std::size_t size, Random& random) {
  std::string out;
  while (out.size() < size) append_le<std::uint64_t>(out, random.next());
  out.resize(size);
  return out;
}

// Half rows, a quarter that does not compress, a quarter that was there before; and 400 small
// files.
void generate(const fs::path& folder, std::uint64_t mebibytes, std::uint64_t seed) {
  Random random(seed);
  fs::create_directories(folder / "base");
  std::string first;
  for (std::uint64_t i = 0; i < mebibytes / 8; ++i) {
    std::string bytes;
    if (i % 4 < 2) bytes = rows(8u << 20, random);
    if (i % 4 == 2) bytes = noise(8u << 20, random);
    if (i % 4 == 3) bytes = first;
    if (first.empty()) first = bytes;
    std::ofstream(folder / "base" / std::to_string(i), std::ios::binary) << bytes;
  }
  for (int i = 0; i < 400; ++i) {
    std::ofstream(folder / ("small-" + std::to_string(i)), std::ios::binary)
        << rows(random.below(16'384), random);
  }
}

void put_file(vault::SnapshotWriter& writer, const fs::path& folder, const fs::path& path) {
  Fd fd = open_file(path, O_RDONLY);
  writer.begin_file(fs::relative(path, folder).string(), 0600, Timestamp(0));
  std::string buffer(1 << 20, '\0');
  for (;;) {
    ssize_t n = ::read(fd.get(), buffer.data(), buffer.size());
    if (n < 0) throw system_error(errno, path.string(), "cannot read");
    if (n == 0) break;
    writer.data(std::string_view(buffer).substr(0, static_cast<std::size_t>(n)));
  }
  writer.end_file();
}

void put(const fs::path& folder, const fs::path& place) {
  store::DirectoryStore::create(place);
  store::DirectoryStore store(place);
  Random random;
  Vault vault =
      Vault::exists(store) ? Vault::open(store) : Vault::create(store, Clock::real(), random);
  vault::SnapshotWriter writer(vault, "bench");
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    auto path = fs::relative(entry.path(), folder).string();
    if (entry.is_directory()) writer.add_directory(path, 0700);
    if (entry.is_regular_file()) put_file(writer, folder, entry.path());
  }
  auto id = writer.finish(nlohmann::json::object());
  auto stats = writer.stats();
  fmt::print(R"({{"snapshot": "{}", "bytes": {}, "stored": {}}})"
             "\n",
             id.hex(), stats.bytes, stats.stored_bytes);
}

void get(const fs::path& place, const std::string& id, const fs::path& folder) {
  store::DirectoryStore store(place);
  vault::SnapshotReader reader(Vault::open(store), vault::SnapshotId::parse(id).value());
  fs::create_directories(folder);
  reader.for_each([&](const vault::Entry& entry) {
    fs::path path = folder / entry.path;
    fs::create_directories(path.parent_path());
    if (entry.type != vault::Entry::Type::file) return;
    Fd fd = open_file(path, O_WRONLY | O_CREAT | O_EXCL, static_cast<int>(entry.mode));
    reader.read_file(entry,
                     [&](std::string_view bytes) { write_all(fd.get(), bytes, path.string()); });
  });
  fmt::print(R"({{"bytes": {}}})"
             "\n",
             reader.bytes());
}

int run(const std::vector<std::string>& words) {
  if (words.size() == 4 && words[0] == "generate") {
    generate(words[1], std::stoull(words[2]), std::stoull(words[3]));
  } else if (words.size() == 3 && words[0] == "put") {
    put(words[1], words[2]);
  } else if (words.size() == 4 && words[0] == "get") {
    get(words[1], words[2], words[3]);
  } else {
    fmt::print(stderr,
               "generate FOLDER MEBIBYTES SEED | put FOLDER VAULT | "
               "get VAULT SNAPSHOT FOLDER\n");
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
    fmt::print(stderr, "lifeboat_bench_vault: {}\n", error.what());
    return 1;
  }
}
