// Many chunks read at once: the plan, and what comes of it when packs are damaged, gone or away.
#include "store/forwarding_store.hpp"
#include "vault/chunk_runs.hpp"
#include "vault_fixture.hpp"

namespace lifeboat::vault {
namespace {

WantedChunk wanted(std::size_t number, std::uint32_t pack, std::uint32_t offset,
                   std::uint32_t stored) {
  return {number, {pack, offset, stored, ChunkCodec::zstd}};
}

// "0:100+30 5 6" for the run [100, 130) of pack 0, with the chunks asked for as 5th and 6th.
std::vector<std::string> runs_of(std::vector<WantedChunk> chunks) {
  std::vector<std::string> out;
  for (const auto& run : plan_runs(std::move(chunks), {ByteCount(10), ByteCount(1000)})) {
    out.push_back(fmt::format("{}:{}+{}", run.pack, run.offset, run.length));
    for (const auto& chunk : run.chunks) out.back() += fmt::format(" {}", chunk.number);
  }
  return out;
}

using Runs = std::vector<std::string>;

TEST(ChunkRuns, WhatLiesNearIsReadAtOnce) {
  EXPECT_EQ(runs_of({}), Runs{});
  EXPECT_EQ(runs_of({wanted(0, 0, 24, 30), wanted(1, 0, 54, 20)}), Runs{"0:24+50 0 1"});
  EXPECT_EQ(runs_of({wanted(0, 0, 54, 20), wanted(1, 0, 24, 30)}), Runs{"0:24+50 1 0"});
  EXPECT_EQ(runs_of({wanted(0, 0, 24, 30), wanted(1, 0, 64, 20)}), Runs{"0:24+60 0 1"});
}

TEST(ChunkRuns, WhatLiesApartIsNot) {
  EXPECT_EQ(runs_of({wanted(0, 0, 24, 30), wanted(1, 0, 65, 20)}),
            (Runs{"0:24+30 0", "0:65+20 1"}));
  EXPECT_EQ(runs_of({wanted(0, 1, 24, 30), wanted(1, 0, 54, 20)}),
            (Runs{"1:24+30 0", "0:54+20 1"}));
  EXPECT_EQ(runs_of({wanted(0, 1, 54, 20), wanted(1, 0, 24, 30), wanted(2, 1, 24, 30)}),
            (Runs{"1:24+50 2 0", "0:24+30 1"}));
}

TEST(ChunkRuns, ARunIsBounded) {
  EXPECT_EQ(runs_of({wanted(0, 0, 0, 600), wanted(1, 0, 600, 400), wanted(2, 0, 1000, 1)}),
            (Runs{"0:0+1000 0 1", "0:1000+1 2"}));
  EXPECT_EQ(runs_of({wanted(0, 0, 0, 5000), wanted(1, 0, 5000, 5)}),
            (Runs{"0:0+5000 0", "0:5000+5 1"}));
}

TEST(ChunkRuns, OneThatIsWantedTwiceIsReadOnce) {
  EXPECT_EQ(runs_of({wanted(0, 0, 24, 30), wanted(1, 0, 54, 20), wanted(2, 0, 24, 30)}),
            Runs{"0:24+50 0 2 1"});
}

// What was given, for comparison: "begin path", the data of it, "end".
struct Told : EntrySink {
  std::vector<std::pair<std::string, std::string>> entries;
  std::function<void()> at_data = [] {};
  bool open = false;
  void begin(const Entry& entry) override {
    EXPECT_FALSE(open);
    entries.emplace_back(entry.path, "");
    open = entry.type == Entry::Type::file;
  }
  void data(std::string_view piece) override {
    EXPECT_TRUE(open);
    at_data();
    entries.back().second += piece;
  }
  void end_file() override {
    EXPECT_TRUE(open);
    open = false;
  }
};

// Counts reads of packs; may be away.
class Watched : public store::ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  std::optional<std::string> get_range(const std::string& name, ByteCount offset,
                                       ByteCount length) override {
    ++reads;
    if (away) throw Error(Code::unavailable, name, "the store is away");
    return ForwardingStore::get_range(name, offset, length);
  }
  std::atomic<int> reads{0};
  std::atomic<bool> away{false};
};

struct ReadTreeTest : VaultTest {
  std::vector<std::pair<std::string, std::string>> tree;

  ReadTreeTest() {
    tree.emplace_back("d", "");
    tree.emplace_back("d/large", noise(300'000, 1));
    tree.emplace_back("d/empty", "");
    tree.emplace_back("d/zeros", std::string(200'000, '\0'));  // one chunk, many times
    for (int i = 0; i < 300; ++i) tree.emplace_back("d/" + std::to_string(i), noise(500, i + 2));
  }

  SnapshotId take(ByteCount pack_size = ByteCount(64u << 20)) {
    SnapshotOptions options;
    options.chunk_size = ByteCount(1000);
    options.chunks.pack_size = pack_size;
    options.chunks.threads = 0;
    SnapshotWriter writer(vault, "test", options);
    writer.add_directory("d", 0700);
    for (std::size_t i = 1; i < tree.size(); ++i) {
      writer.begin_file(tree[i].first, 0600, Timestamp(1), Cut::aligned);
      writer.data(tree[i].second);
      writer.end_file();
    }
    return writer.finish({});
  }

  void read(store::ObjectStore& there, const SnapshotId& id, Told& told, unsigned threads = 4) {
    ChunkOptions options;
    options.threads = threads;
    Chunks chunks(open(there), options);
    SnapshotReader(chunks, snapshot_name(vault, id)).read_tree(told);
  }
};

TEST_P(ReadTreeTest, AllComesInOrderByFewReads) {
  auto id = take();
  Watched watched(store);
  for (unsigned threads : {0u, 1u, 4u}) {
    watched.reads = 0;
    Told told;
    read(watched, id, told, threads);
    EXPECT_EQ(told.entries, tree);
    EXPECT_LT(watched.reads, 10);  // of 600 chunks
  }
}

// What is read by one call is bounded by what lies in the store, not by what becomes of it.
TEST_P(ReadTreeTest, WhatShrinksMuchTakesFewReads) {
  constexpr std::size_t kMiB = 1 << 20;
  SnapshotWriter writer(vault, "test");
  writer.begin_file("f", 0600, Timestamp(1), Cut::aligned);
  for (char i = 0; i < 70; ++i) writer.data(std::string(kMiB, i));
  writer.end_file();
  auto id = writer.finish({});
  Watched watched(store);
  Chunks chunks(open(watched));
  SnapshotReader reader(chunks, snapshot_name(vault, id));
  reader.for_each([](const Entry&) {});  // the list, and the index of packs
  watched.reads = 0;
  Told told;
  reader.read_tree(told);
  EXPECT_LE(watched.reads, 2);  // the list again, and all 70
  ASSERT_EQ(told.entries.size(), 1u);
  const auto& data = told.entries.front().second;
  ASSERT_EQ(data.size(), 70 * kMiB);
  for (std::size_t i = 0; i < 70; ++i) EXPECT_EQ(data[i * kMiB + 17], static_cast<char>(i));
}

TEST_P(ReadTreeTest, FromManyPacksItIsTheSame) {
  auto id = take(ByteCount(5000));
  Told told;
  read(store, id, told);
  EXPECT_EQ(told.entries, tree);
}

TEST_P(ReadTreeTest, ADamagedChunkIsNamedByItsFileAndTheOthersAreGood) {
  auto id = take();
  auto pack = damage_chunk(sha256(tree.back().second));
  Told told;
  auto error = error_of([&] { read(store, id, told); });
  EXPECT_EQ(error.code(), Code::corrupt);
  EXPECT_NE(std::string(error.what()).find(tree.back().first), std::string::npos) << error.what();
  told.entries.pop_back();
  EXPECT_TRUE(std::equal(told.entries.begin(), told.entries.end(), tree.begin()));
  EXPECT_EQ(told.entries.size() + 1, tree.size());
}

TEST_P(ReadTreeTest, OneThatIsWholeInAnotherPackIsTakenFromThere) {
  auto id = take();
  ChunkOptions options;
  for (const auto& pack : objects_of(store, "packs/")) options.absent.insert(pack.name);
  Chunks again(vault, options);
  again.put(tree.back().second);
  again.flush();
  auto index = PackIndex::load(vault, {}, cancel);
  auto digest = sha256(tree.back().second);
  ASSERT_EQ(index.places(digest).size(), 2u);
  damage_chunk(digest);  // in the one that is looked at first
  Told told;
  read(store, id, told);
  EXPECT_EQ(told.entries, tree);
}

TEST_P(ReadTreeTest, APackThatIsGoneIsAnError) {
  auto id = take(ByteCount(50'000));
  Chunks chunks(vault);
  SnapshotReader reader(chunks, snapshot_name(vault, id));
  auto index = PackIndex::load(vault, {}, cancel);
  auto place = index.find(sha256(tree.back().second)).value();
  EXPECT_TRUE(chunks.has(sha256(tree.back().second)));  // it knows the packs there were
  store.remove(index.packs().at(place.pack).name);
  Told told;
  EXPECT_EQ(error_of([&] { reader.read_tree(told); }).code(), Code::not_found);
}

TEST_P(ReadTreeTest, AStoreThatGoesAwayIsTold) {
  auto id = take(ByteCount(5000));
  Watched watched(store);
  ChunkOptions options;
  Chunks chunks(open(watched), options);
  SnapshotReader reader(chunks, snapshot_name(vault, id));
  EXPECT_TRUE(chunks.has(sha256(tree.back().second)));
  std::vector<ChunkRef> refs{{sha256(tree.back().second), ByteCount(500)},
                             {sha256(tree[4].second), ByteCount(500)}};
  watched.away = true;
  for (auto& content : chunks.open_later(chunks.fetch(refs, ByteCount(1 << 20)))) {
    EXPECT_EQ(error_of([&] { content.get(); }).code(), Code::unavailable);
  }
  watched.away = false;
  Told told;
  reader.read_tree(told);
  EXPECT_EQ(told.entries, tree);
}

TEST_P(ReadTreeTest, WhatTheSinkThrowsComesOut) {
  auto id = take();
  Told told;
  told.at_data = [] { throw Error(Code::no_space, "disk", "is full"); };
  EXPECT_EQ(error_of([&] { read(store, id, told); }).code(), Code::no_space);
}

// A list may be anybody's: the same chunk under two sizes, and one that cannot be.
TEST_P(ReadTreeTest, EachReferenceIsCheckedByItself) {
  take();
  auto digest = sha256(tree.back().second);
  std::vector<ChunkRef> refs{{digest, ByteCount(500)},
                             {digest, ByteCount(501)},
                             {digest, ByteCount(kMaxChunk.value + 1)},
                             {sha256("nowhere"), ByteCount(7)},
                             {digest, ByteCount(500)}};
  Chunks chunks(vault);
  auto contents = chunks.open_later(chunks.fetch(refs, ByteCount(1 << 20)));
  ASSERT_EQ(contents.size(), refs.size());
  EXPECT_EQ(contents[0].get().bytes, tree.back().second);
  EXPECT_EQ(error_of([&] { contents[1].get(); }).code(), Code::corrupt);
  EXPECT_EQ(error_of([&] { contents[2].get(); }).code(), Code::corrupt);
  EXPECT_EQ(error_of([&] { contents[3].get(); }).code(), Code::not_found);
  EXPECT_EQ(contents[4].get().bytes, tree.back().second);
}

LIFEBOAT_ON_BOTH_KINDS(ReadTreeTest);

}  // namespace
}  // namespace lifeboat::vault
