// A folder of files into a vault and back, by what a backup does; prints one JSON line with what it
// took. With a PASSPHRASE the vault is encrypted. VAULT is a directory, or
// s3://bucket/prefix?endpoint=…
//
//   lifeboat_bench_vault put FOLDER VAULT [PASSPHRASE]         {"snapshot", "bytes", "new_chunks"}
//   lifeboat_bench_vault get VAULT SNAPSHOT FOLDER [PASSPHRASE]   {"bytes"}; durable
//   lifeboat_bench_vault point VAULT SNAPSHOT                  {"point"}: for verbs that ask for
//   one
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <optional>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/random.hpp"
#include "postgres/relative_path.hpp"
#include "postgres/restore.hpp"
#include "store/open_store.hpp"
#include "vault/keys.hpp"
#include "vault/points.hpp"
#include "vault/snapshot.hpp"

namespace lifeboat::bench {
namespace {

namespace fs = std::filesystem;
using vault::Vault;

std::optional<vault::KeyMaterial> key_of(const std::string& passphrase) {
  if (passphrase.empty()) return std::nullopt;
  return vault::KeyMaterial{vault::KeyMaterial::Kind::passphrase, vault::Secret(passphrase),
                            "the benchmark's passphrase"};
}

Vault open(store::ObjectStore& store, const std::string& passphrase) {
  auto key = key_of(passphrase);
  Random random;
  if (Vault::exists(store)) return Vault::open(store, key ? &*key : nullptr);
  return key ? Vault::create(store, Clock::real(), random, *key, "bench")
             : Vault::create(store, Clock::real(), random);
}

void put_file(vault::SnapshotWriter& writer, const fs::path& path, const std::string& name) {
  Fd fd = open_file(path, O_RDONLY);
  struct stat info{};
  if (::fstat(fd.get(), &info) != 0) throw system_error(errno, path.string(), "cannot stat");
  writer.begin_file(name, info.st_mode & 07777, Timestamp(info.st_mtim.tv_sec * 1000),
                    postgres::is_relation(name) ? vault::Cut::aligned : vault::Cut::by_content);
  std::string buffer(1 << 20, '\0');
  for (;;) {
    ssize_t n = ::read(fd.get(), buffer.data(), buffer.size());
    if (n < 0) throw system_error(errno, path.string(), "cannot read");
    if (n == 0) break;
    writer.data(std::string_view(buffer).substr(0, static_cast<std::size_t>(n)));
  }
  writer.end_file();
}

void put(const fs::path& folder, const std::string& place, const std::string& passphrase) {
  const auto location = store::parse_location(place);
  store::create_store(location);
  const auto store = store::open_store(location);
  vault::SnapshotWriter writer(open(*store, passphrase), "bench");
  std::vector<fs::path> paths;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  for (const auto& path : paths) {
    auto name = fs::relative(path, folder).string();
    if (fs::is_directory(path)) writer.add_directory(name, 0700);
    if (fs::is_regular_file(path)) put_file(writer, path, name);
  }
  auto id = writer.finish(nlohmann::json::object());
  auto stats = writer.stats();
  fmt::print("{{\"snapshot\": \"{}\", \"bytes\": {}, \"new_chunks\": {}}}\n", id.hex(), stats.bytes,
             stats.new_chunks);
}

// As a restore of PostgreSQL writes its data directory.
class ToFolder : public vault::EntrySink {
 public:
  explicit ToFolder(const fs::path& folder) : writer_(folder, {}) {}
  void begin(const vault::Entry& entry) override {
    int mode = static_cast<int>(entry.mode);
    if (entry.type == vault::Entry::Type::directory) writer_.begin_directory(entry.path, mode);
    if (entry.type == vault::Entry::Type::file) {
      writer_.begin_file(entry.path, entry.size, mode, entry.mtime);
    }
  }
  void data(std::string_view piece) override { writer_.data(piece); }
  void end_file() override { writer_.end_file(); }
  void finish() { writer_.finish(); }

 private:
  postgres::DataDirectoryWriter writer_;
};

void get(const std::string& place, const std::string& id, const fs::path& folder,
         const std::string& passphrase) {
  const auto store = store::open_store(store::parse_location(place));
  vault::SnapshotReader reader(open(*store, passphrase), vault::SnapshotId::parse(id).value());
  ToFolder sink(folder);
  reader.read_tree(sink);
  sink.finish();
  fmt::print("{{\"bytes\": {}}}\n", reader.bytes());
}

void point(const std::string& place, const std::string& snapshot) {
  const auto store = store::open_store(store::parse_location(place));
  auto vault = Vault::open(*store);
  Random random;
  vault::RecoveryPoint point;
  point.id = vault::make_point_id(Clock::real(), random);
  point.created = point.finished = Clock::real().now();
  point.stores = {{"bench", {{"snapshot", snapshot}}}};
  vault::open_point(vault, {point.id, point.created, "", "bench", "", 0, {}, ""});
  vault::publish_point(vault, point);
  fmt::print("{{\"point\": \"{}\"}}\n", point.id);
}

int run(std::vector<std::string> words) {
  words.resize(std::max<std::size_t>(words.size(), 1));
  const bool put_it = words[0] == "put" && (words.size() == 3 || words.size() == 4);
  const bool get_it = words[0] == "get" && (words.size() == 4 || words.size() == 5);
  const bool point_it = words[0] == "point" && words.size() == 3;
  if (!put_it && !get_it && !point_it) {
    fmt::print(stderr,
               "put FOLDER VAULT [PASSPHRASE] | get VAULT SNAPSHOT FOLDER [PASSPHRASE] | "
               "point VAULT SNAPSHOT\n");
    return 2;
  }
  words.resize(5);
  if (put_it) put(words[1], words[2], words[3]);
  if (point_it) point(words[1], words[2]);
  if (get_it) get(words[1], words[2], words[3], words[4]);
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
