// What happens at the limits: memory stays a number, a full disk is an error that a later run
// cures.
#include <sys/resource.h>

#include <atomic>
#include <fstream>

#include "store/full_store.hpp"
#include "support/no_more_threads.hpp"
#include "vault_fixture.hpp"

namespace lifeboat::vault {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;

// VmHWM or VmRSS of this process.
std::uint64_t memory(const std::string& field) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(field + ":")) return std::stoull(line.substr(field.size() + 1)) * 1024;
  }
  return 0;
}

// Runs `body` in a process of its own and expects its memory to grow by at most `most`.
void expect_memory(std::uint64_t most, const std::function<void()>& body) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer needs memory of its own";
#endif
  store::in_processes(1, [&](int) {
    std::uint64_t before = memory("VmRSS");
    body();
    std::uint64_t peak = memory("VmHWM");
    if (peak <= before + most) return 0;
    fprintf(stderr, "grew by %llu MiB\n", static_cast<unsigned long long>((peak - before) / kMiB));
    return 1;
  });
}

struct CountingSink : EntrySink {
  void add(const Entry&) override {}
  std::unique_ptr<DataSink> begin_file(const Entry&) override {
    return std::make_unique<Count>(bytes);
  }
  struct Count : DataSink {
    explicit Count(std::atomic<std::uint64_t>& to) : bytes(to) {}
    void data(std::string_view piece) override { bytes += piece.size(); }
    void end() override {}
    std::atomic<std::uint64_t>& bytes;
  };
  std::atomic<std::uint64_t> bytes = 0;
};

TEST(Limits, ALargeSnapshotNeedsLittleMemory) {
  store::TemporaryDirectory directory;
  expect_memory(176 * kMiB, [&] {
    store::DirectoryStore disk(directory.path());
    Random random(1);
    Vault vault = Vault::create(disk, Clock::real(), random);
    SnapshotWriter writer(vault, "large");
    std::string piece = noise(64 * 1024, 1);
    writer.begin_file("large", 0600, Timestamp(0));
    for (std::uint64_t i = 0; i < 400 * kMiB / piece.size(); ++i) {
      std::memcpy(piece.data(), &i, sizeof i);  // no two pieces are alike
      writer.data(piece);
    }
    writer.end_file();
    SnapshotReader reader(vault, writer.finish({}));
    std::uint64_t size = 0;
    reader.for_each([&](const Entry& entry) {
      reader.read_file(entry, [&](std::string_view bytes) { size += bytes.size(); });
    });
    if (size != 400 * kMiB) throw std::runtime_error("not all came back");
  });
}

// Each takes room of its own on the way, however small it is.
TEST(Limits, ManySmallChunksNeedLittleMemory) {
  store::TemporaryDirectory directory;
  expect_memory(176 * kMiB, [&] {
    // Address space counts too: a machine may not lend what it does not have.
    const rlimit most{1024 * kMiB, 1024 * kMiB};
    if (::setrlimit(RLIMIT_AS, &most) != 0) throw std::runtime_error("cannot limit memory");
    store::DirectoryStore disk(directory.path());
    Random random(1);
    Vault vault = Vault::create(disk, Clock::real(), random);
    SnapshotOptions options;
    options.chunk_size = ByteCount(16);
    options.chunks.threads = 2;
    SnapshotWriter writer(vault, "small", options);
    constexpr int kFiles = 200;
    const std::string content = noise(16 * 1024, 1);
    for (int i = 0; i < kFiles; ++i) {
      writer.begin_file(std::to_string(i), 0600, Timestamp(0), Cut::aligned);
      writer.data(content);
      writer.end_file();
    }
    SnapshotReader reader(vault, writer.finish({}));
    CountingSink sink;
    reader.read_tree(sink);
    if (sink.bytes != kFiles * content.size()) throw std::runtime_error("not all came back");
  });
}

// The caller does it all; only the logbook's writer has to be a thread of its own.
TEST(Limits, WithoutAThreadMoreASnapshotIsWrittenAndReadAllTheSame) {
  store::TemporaryDirectory directory;
  store::DirectoryStore disk(directory.path());
  Random random(1);
  Vault vault = Vault::create(disk, Clock::real(), random);
  const test::NoMoreThreads none;
  SnapshotOptions options;
  options.chunks.threads = 4;
  options.chunks.pack_size = ByteCount(256 * 1024);
  SnapshotWriter writer(vault, "test", options);
  constexpr int kFiles = 20;
  for (int i = 0; i < kFiles; ++i) {
    writer.add_file(std::to_string(i), 0600, Timestamp(0), noise(100'000, i));
  }
  SnapshotReader reader(vault, writer.finish({}));
  EXPECT_GT(writer.stats().packs, 3u);
  CountingSink sink;
  reader.read_tree(sink);
  EXPECT_EQ(sink.bytes, kFiles * 100'000u);
  const auto failed = error_of([&] { LogbookWriter(vault, {}, Clock::real(), random); });
  EXPECT_EQ(failed.subject(), "writing the logbook");
}

TEST(Limits, TheLogbookHoldsItsSourceBack) {
  store::TemporaryDirectory directory;
  expect_memory(64 * kMiB, [&] {
    store::DirectoryStore disk(directory.path());
    Random random(1);
    Vault vault = Vault::create(disk, Clock::real(), random);
    LogbookOptions options;
    options.flush_bytes = ByteCount(8 * kMiB);
    options.max_buffered = ByteCount(16 * kMiB);
    LogbookWriter writer(vault, options, Clock::real(), random);
    Cancel cancel;
    std::string batch = noise(256 * 1024, 1);
    std::int64_t appends = 200 * static_cast<std::int64_t>(kMiB / batch.size());
    for (std::int64_t i = 0; i < appends; ++i) {
      writer.append(extent("kafka/c/t/x/0", i, i + 1), batch, cancel);
    }
    writer.close(cancel);
    auto book = Logbook::load(vault);
    std::uint64_t size = 0;
    book.read({"kafka/c/t/x/0"}, Position(0), Position(appends),
              [&](const ExtentView& view) { size += view.bytes.size(); });
    if (size != 200 * kMiB) throw std::runtime_error("not all came back");
  });
}

using LimitsTest = VaultTest;

TEST_P(LimitsTest, ASnapshotOnAFullDiskFailsAndTheNextOneReusesWhatIsThere) {
  store::FullStore full(store, ByteCount(60'000));
  Vault there = open(full);
  auto take = [&] {
    SnapshotOptions options;
    options.sizes = {8000, 8192, 10'000};
    options.chunks.pack_size = ByteCount(10'000);
    options.chunks.threads = 0;  // else a pack may be filled further while it waits
    SnapshotWriter writer(there, "test", options);
    writer.add_file("f", 0600, Timestamp(0), noise(100'000, 3));
    auto id = writer.finish({});
    EXPECT_LT(writer.stats().new_chunks + 2, writer.stats().chunks);
    return id;
  };
  EXPECT_EQ(error_of(take).code(), Code::no_space);
  EXPECT_TRUE(objects_of(store, "snapshots/").empty());
  EXPECT_TRUE(verify_all().good());
  full.add_room(ByteCount(60'000));
  EXPECT_EQ(SnapshotReader(vault, take()).read_small("f"), noise(100'000, 3));
}

TEST_P(LimitsTest, APointOnAFullDiskIsNotThere) {
  store::FullStore full(store, ByteCount(10));
  RecoveryPoint point;
  point.id = make_point_id(clock, random);
  EXPECT_EQ(error_of([&] { write_point(open(full), point); }).code(), Code::no_space);
  EXPECT_TRUE(list_points(vault).empty());
}

LIFEBOAT_ON_BOTH_KINDS(LimitsTest);

}  // namespace
}  // namespace lifeboat::vault
