// A folder of files into a vault and back, by what a backup does; prints one JSON line with what it
// took. With a KEY_FILE, which is made when it is absent, the vault is encrypted. VAULT is a
// directory, or s3://bucket/prefix?endpoint=…
//
//   lifeboat_bench_vault put FOLDER VAULT [KEY_FILE]
//                                              {"snapshot", "bytes", "unread", "new_chunks"}
//   lifeboat_bench_vault get VAULT SNAPSHOT FOLDER [KEY_FILE]   {"bytes"}; durable
//   lifeboat_bench_vault unlock FOLDER PASSPHRASE
//                          {"seconds"}: to open a vault, made in the empty folder, by a passphrase
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <optional>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/random.hpp"
#include "postgres/restore.hpp"
#include "recovery/files_to_snapshot.hpp"
#include "recovery/vault_key.hpp"
#include "store/open_store.hpp"
#include "vault/keys.hpp"
#include "vault/points.hpp"

namespace lifeboat::bench {
namespace {

namespace fs = std::filesystem;
using vault::Vault;

std::optional<vault::KeyMaterial> key_of(const fs::path& file) {
  if (file.empty()) return std::nullopt;
  return fs::exists(file) ? recovery::read_key_file(file) : recovery::make_key_file(file);
}

Vault open(store::ObjectStore& store, const fs::path& key_file) {
  const auto key = key_of(key_file);
  Random random;
  if (Vault::exists(store)) return Vault::open(store, key ? &*key : nullptr);
  return key ? Vault::create(store, Clock::real(), random, *key, "bench")
             : Vault::create(store, Clock::real(), random);
}

constexpr const char* kStore = "bench";

std::int64_t nanoseconds_now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// In the order that find_earlier()'s snapshot is asked in: by the parts of paths.
void put_files(const fs::path& folder, postgres::FileSink& sink) {
  std::vector<fs::path> paths;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  const Cancel cancel;
  postgres::FileGiver files(sink, nanoseconds_now() - postgres::kSettledAfter, cancel);
  for (const auto& path : paths) {
    auto name = fs::relative(path, folder).string();
    if (fs::is_directory(path)) sink.begin_directory(name, 0700);
    if (fs::is_regular_file(path)) files.give(path, name);
  }
}

// As a backup does: opens a point, looks for the one before, copies, publishes.
void put(const fs::path& folder, const std::string& place, const fs::path& key_file) {
  const auto location = store::parse_location(place);
  store::create_store(location);
  const auto store = store::open_store(location);
  auto vault = open(*store, key_file);
  Random random;
  vault::RecoveryPoint point;
  point.id = vault::make_point_id(Clock::real(), random);
  point.created = Clock::real().now();
  vault::open_point(vault, {point.id, point.created, "", "bench", "", 0, {}, ""});
  vault::Chunks chunks(vault);
  const nlohmann::json read_from = {{"directory", folder.string()}};
  vault::SnapshotWriter writer(chunks, kStore);
  recovery::FilesToSnapshot sink(writer, Clock::real(),
                                 recovery::find_earlier(chunks, kStore, read_from));
  put_files(folder, sink);
  const auto id = writer.finish({{"point", point.id}});
  point.finished = Clock::real().now();
  point.stores = {{kStore, {{"snapshot", id.hex()}, {"read_from", read_from}}}};
  vault::publish_point(vault, point);
  const auto stats = writer.stats();
  fmt::print("{{\"snapshot\": \"{}\", \"bytes\": {}, \"unread\": {}, \"new_chunks\": {}}}\n",
             id.hex(), stats.bytes, sink.unread(), stats.new_chunks);
}

// As a restore of PostgreSQL writes its data directory.
class ToFolder : public vault::EntrySink {
 public:
  explicit ToFolder(const fs::path& folder) : writer_(folder, {}) {}
  void add(const vault::Entry& entry) override {
    writer_.begin_directory(entry.path, static_cast<int>(entry.mode));
  }
  std::unique_ptr<vault::DataSink> begin_file(const vault::Entry& entry) override {
    return std::make_unique<File>(writer_.open(entry.path, entry.size));
  }
  void finish() { writer_.finish(); }

 private:
  struct File : vault::DataSink {
    explicit File(postgres::DataFileWriter to) : file(std::move(to)) {}
    void data(std::string_view piece) override { file.data(piece); }
    void end() override { file.end(); }
    postgres::DataFileWriter file;
  };

  postgres::DataDirectoryWriter writer_;
};

void get(const std::string& place, const std::string& id, const fs::path& folder,
         const fs::path& key_file) {
  const auto store = store::open_store(store::parse_location(place));
  vault::SnapshotReader reader(open(*store, key_file), vault::SnapshotId::parse(id).value());
  ToFolder sink(folder);
  reader.read_tree(sink);
  sink.finish();
  fmt::print("{{\"bytes\": {}}}\n", reader.bytes());
}

void unlock(const std::string& folder, const std::string& passphrase) {
  const auto location = store::parse_location(folder);
  store::create_store(location);
  const auto store = store::open_store(location);
  const vault::KeyMaterial key{vault::KeyMaterial::Kind::passphrase, vault::Secret(passphrase),
                               "the benchmark's passphrase"};
  Random random;
  Vault::create(*store, Clock::real(), random, key, "bench");
  const auto begin = std::chrono::steady_clock::now();
  Vault::open(*store, &key);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  fmt::print("{{\"seconds\": {:.3f}}}\n", took.count());
}

int run(std::vector<std::string> words) {
  words.resize(std::max<std::size_t>(words.size(), 1));
  const auto is = [&](const char* verb, std::size_t least, std::size_t most) {
    return words[0] == verb && words.size() > least && words.size() <= most + 1;
  };
  const bool put_it = is("put", 2, 3), get_it = is("get", 3, 4), unlock_it = is("unlock", 2, 2);
  if (!put_it && !get_it && !unlock_it) {
    fmt::print(stderr,
               "put FOLDER VAULT [KEY_FILE] | get VAULT SNAPSHOT FOLDER [KEY_FILE] | "
               "unlock FOLDER PASSPHRASE\n");
    return 2;
  }
  words.resize(5);
  if (put_it) put(words[1], words[2], words[3]);
  if (get_it) get(words[1], words[2], words[3], words[4]);
  if (unlock_it) unlock(words[1], words[2]);
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
