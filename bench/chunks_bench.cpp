// A vault of very many chunks, tiny ones, and what each verb needs for it. Prints one JSON line.
//
//   lifeboat_bench_chunks fill VAULT CHUNKS   a snapshot of that many, and a point: {"seconds",
//   "packs"}
//   lifeboat_bench_chunks start VAULT         what each of the others begins with
//   lifeboat_bench_chunks again VAULT CHUNKS  the same snapshot, of which all is there
//   lifeboat_bench_chunks restore VAULT       all of it, read
//   lifeboat_bench_chunks prune VAULT         what it would delete
//   lifeboat_bench_chunks verify VAULT        that all is there
#include <fmt/format.h>

#include <atomic>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/random.hpp"
#include "store/directory_store.hpp"
#include "vault/prune.hpp"
#include "vault/verify.hpp"

namespace lifeboat::bench {
namespace {

using vault::Vault;

constexpr std::uint64_t kChunk = 8;             // bytes
constexpr std::uint64_t kChunksOfAFile = 1024;  // as of a relation's segment of 1 GiB
constexpr std::uint64_t kChunksOfAPack = 1000;  // as of 64 MiB of chunks that shrink to 64 KiB

vault::SnapshotId take(const Vault& vault, std::uint64_t chunks) {
  vault::SnapshotOptions options;
  options.chunk_size = ByteCount(kChunk);
  options.chunks.pack_size = ByteCount(kChunk * kChunksOfAPack);
  options.chunks.threads = 0;  // handing over 8 bytes takes longer than storing them
  vault::SnapshotWriter writer(vault, "bench", options);
  std::string file;
  for (std::uint64_t i = 0; i < chunks; ++i) {
    append_le<std::uint64_t>(file, i);
    if (file.size() < kChunk * kChunksOfAFile && i + 1 < chunks) continue;
    writer.begin_file(std::to_string(i), 0600, Timestamp(0), vault::Cut::aligned);
    writer.data(file);
    writer.end_file();
    file.clear();
  }
  auto id = writer.finish(nlohmann::json::object());
  fmt::print(stderr, "{} chunks, {} new, {} packs\n", writer.stats().chunks,
             writer.stats().new_chunks, writer.stats().packs);
  return id;
}

void fill(const std::string& place, std::uint64_t chunks) {
  store::DirectoryStore::create(place);
  store::DirectoryStore store(place);
  Random random(1);
  auto vault = Vault::create(store, Clock::real(), random);
  vault::RecoveryPoint point;
  point.id = vault::make_point_id(Clock::real(), random);
  point.created = Clock::real().now();
  vault::open_point(vault, {point.id, point.created, "", "bench", "/", 1, {}, ""});
  point.stores["bench"] = {{"snapshot", take(vault, chunks).hex()}};
  point.finished = Clock::real().now();
  vault::publish_point(vault, point);
}

vault::SnapshotId only_snapshot(const Vault& vault) {
  return vault::snapshots_of(vault::resolve_point(vault, "latest")).at(0);
}

class Nowhere : public vault::EntrySink {
 public:
  void add(const vault::Entry&) override {}
  std::unique_ptr<vault::DataSink> begin_file(const vault::Entry&) override {
    return std::make_unique<Count>(bytes);
  }
  std::atomic<std::uint64_t> bytes = 0;

 private:
  struct Count : vault::DataSink {
    explicit Count(std::atomic<std::uint64_t>& to) : bytes(to) {}
    void data(std::string_view piece) override { bytes += piece.size(); }
    void end() override {}
    std::atomic<std::uint64_t>& bytes;
  };
};

void restore(const Vault& vault) {
  vault::SnapshotReader reader(vault, only_snapshot(vault));
  Nowhere sink;
  reader.read_tree(sink);
  if (sink.bytes != reader.bytes().value) throw Error(Code::failed, "restore", "gave too little");
}

void prune(const Vault& vault) {
  vault::PruneOptions options;
  options.dry_run = true;
  Random random;
  auto report = vault::prune(vault, options, Clock::real(), random, Cancel());
  if (!report.problems.empty() || !report.steps.empty()) {
    throw Error(Code::failed, "prune", "would delete what the point needs");
  }
}

void verify(const Vault& vault) {
  vault::VerifyOptions options;
  options.depth = vault::Depth::existence;
  if (!vault::verify(vault, options, Cancel()).good()) {
    throw Error(Code::failed, "verify", "found damage");
  }
}

int run(const std::vector<std::string>& words) {
  if (words.size() < 2) {
    fmt::print(stderr, "fill|again VAULT CHUNKS | start|restore|prune|verify VAULT\n");
    return 2;
  }
  const auto begun = Clock::real().steady();
  const auto& verb = words[0];
  if (verb == "fill") {
    fill(words[1], std::stoull(words.at(2)));
  } else {
    store::DirectoryStore store(words[1]);
    auto vault = Vault::open(store);
    if (verb == "start") vault::Chunks(vault).has(sha256("anything"));
    if (verb == "again") take(vault, std::stoull(words.at(2)));
    if (verb == "restore") restore(vault);
    if (verb == "prune") prune(vault);
    if (verb == "verify") verify(vault);
  }
  fmt::print("{{\"seconds\": {:.3f}}}\n", seconds_between(begun, Clock::real().steady()));
  return 0;
}

}  // namespace
}  // namespace lifeboat::bench

int main(int argc, char** argv) {
  try {
    return lifeboat::bench::run({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    fmt::print(stderr, "lifeboat_bench_chunks: {}\n", error.what());
    return 1;
  }
}
