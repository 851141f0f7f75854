// Many chunks read at once: the plan, and what comes of it when packs are damaged, gone or away.
#include <condition_variable>
#include <map>
#include <set>
#include <thread>

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

// What was given, for comparison: directories, and the data of files that ended.
struct Told : EntrySink {
  std::mutex mutex;
  std::map<std::string, std::string> entries;  // guarded by mutex
  std::set<std::string> begun;                 // likewise
  std::function<void(const std::string&)> at_data = [](const std::string&) {};

  void add(const Entry& entry) override { put(entry.path, ""); }
  std::unique_ptr<DataSink> begin_file(const Entry& entry) override {
    std::lock_guard lock(mutex);
    if (entry.path.starts_with("d/")) {
      EXPECT_EQ(entries.count("d"), 1u);
    }
    EXPECT_TRUE(begun.insert(entry.path).second) << entry.path;
    return std::make_unique<File>(*this, entry.path);
  }

 private:
  struct File : DataSink {
    File(Told& told, std::string its) : to(told), path(std::move(its)) {}
    void data(std::string_view piece) override {
      EXPECT_FALSE(ended);
      to.at_data(path);
      content += piece;
    }
    void end() override {
      EXPECT_FALSE(std::exchange(ended, true));
      to.put(path, std::move(content));
    }
    Told& to;
    std::string path, content;
    bool ended = false;
  };

  void put(const std::string& path, std::string content) {
    std::lock_guard lock(mutex);
    EXPECT_TRUE(entries.emplace(path, std::move(content)).second) << path;
  }
};

// Counts reads of packs, and lists; may be away.
class Watched : public store::ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  std::optional<std::string> get_range(const std::string& name, ByteCount offset,
                                       ByteCount length) override {
    ++reads;
    if (auto now = std::exchange(at_read, nullptr)) now();
    if (away || name == away_name) throw Error(Code::unavailable, name, "the store is away");
    return ForwardingStore::get_range(name, offset, length);
  }
  void list(const std::string& prefix,
            const std::function<void(const ObjectInfo&)>& visit) override {
    ++lists;
    const auto lacks = std::exchange(not_listed, "");
    ForwardingStore::list(prefix, [&](const ObjectInfo& info) {
      if (info.name != lacks) visit(info);
    });
  }
  std::atomic<int> reads{0}, lists{0};
  std::atomic<bool> away{false};
  std::string away_name, not_listed;  // the latter once
  std::function<void()> at_read;      // at the next one, before it
};

struct ReadTreeTest : VaultTest {
  std::map<std::string, std::string> tree;
  const std::string some_file = "d/77";

  ReadTreeTest() {
    tree["d"] = "";
    tree["d/large"] = noise(300'000, 1);
    tree["d/empty"] = "";
    tree["d/zeros"] = std::string(200'000, '\0');  // one chunk, many times
    for (int i = 0; i < 300; ++i) tree["d/" + std::to_string(i)] = noise(500, i + 2);
  }

  SnapshotId take(ByteCount pack_size = ByteCount(64u << 20),
                  ByteCount chunk_size = ByteCount(1000)) {
    SnapshotOptions options;
    options.chunk_size = chunk_size;
    options.chunks.pack_size = pack_size;
    options.chunks.threads = 0;
    SnapshotWriter writer(vault, "test", options);
    if (tree.count("d") > 0) writer.add_directory("d", 0700);
    for (const auto& [path, content] : tree) {
      if (path == "d") continue;
      writer.begin_file(path, 0600, Timestamp(1), Cut::aligned);
      writer.data(content);
      writer.end_file();
    }
    return writer.finish({});
  }

  // Three files, each of which is as much as is given to a lane at once.
  SnapshotId take_many_chunks() {
    tree = {{"a", noise(170'000, 1)}, {"b", noise(170'000, 2)}, {"c", noise(170'000, 3)}};
    return take(ByteCount(64u << 20), ByteCount(10));
  }

  void read(store::ObjectStore& there, const SnapshotId& id, Told& told, unsigned threads = 4) {
    ChunkOptions options;
    options.threads = threads;
    Chunks chunks(open(there), options);
    SnapshotReader(chunks, snapshot_name(vault, id)).read_tree(told);
  }
};

TEST_P(ReadTreeTest, AllComesByFewReads) {
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
  const auto& data = told.entries.at("f");
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
  damage_chunk(sha256(tree.at("d/large").substr(299'000)));
  Told told;
  auto error = error_of([&] { read(store, id, told); });
  EXPECT_EQ(error.code(), Code::corrupt);
  EXPECT_NE(std::string(error.what()).find("d/large"), std::string::npos) << error.what();
  EXPECT_EQ(told.begun.count("d/large"), 1u);
  EXPECT_GT(told.entries.size(), 300u);  // those before it
  for (const auto& [path, content] : told.entries) {
    EXPECT_NE(path, "d/large");
    EXPECT_EQ(content, tree.at(path)) << path;
  }
}

TEST_P(ReadTreeTest, OneThatIsWholeInAnotherPackIsTakenFromThere) {
  auto id = take();
  ChunkOptions options;
  for (const auto& pack : objects_of(store, "packs/")) options.absent.insert(pack.name);
  Chunks again(vault, options);
  again.put(tree.at(some_file));
  again.flush();
  auto index = PackIndex::load(vault, {}, cancel);
  auto digest = sha256(tree.at(some_file));
  ASSERT_EQ(index.places(digest).size(), 2u);
  damage_chunk(digest);  // in the one that is looked at first
  Told told;
  read(store, id, told);
  EXPECT_EQ(told.entries, tree);
}

// However many chunks were opened ahead that it held.
TEST_P(ReadTreeTest, APackThatIsGoneIsAnError) {
  tree["d/large"] = noise(2'000'000, 1);
  auto id = take(ByteCount(1'000'000));
  Watched watched(store);
  auto chunks = std::make_unique<Chunks>(open(watched));
  SnapshotReader reader(*chunks, snapshot_name(vault, id));
  auto index = PackIndex::load(vault, {}, cancel);
  auto place = index.find(sha256(tree.at(some_file))).value();
  EXPECT_TRUE(chunks->has(sha256(tree.at(some_file))));  // it knows the packs there were
  store.remove(index.packs().at(place.pack).name);
  watched.lists = 0;
  Told told;
  EXPECT_EQ(error_of([&] { reader.read_tree(told); }).code(), Code::not_found);
  chunks.reset();
  EXPECT_LT(watched.lists, 10);
}

TEST_P(ReadTreeTest, AStoreThatGoesAwayIsTold) {
  auto id = take(ByteCount(5000));
  Watched watched(store);
  ChunkOptions options;
  Chunks chunks(open(watched), options);
  SnapshotReader reader(chunks, snapshot_name(vault, id));
  EXPECT_TRUE(chunks.has(sha256(tree.at(some_file))));
  std::vector<ChunkRef> refs{{sha256(tree.at(some_file)), ByteCount(500)},
                             {sha256(tree.at("d/4")), ByteCount(500)}};
  watched.away = true;
  for (auto& content : chunks.open_later(chunks.fetch(refs, ByteCount(1 << 20)))) {
    EXPECT_EQ(error_of([&] { content.get(); }).code(), Code::unavailable);
  }
  watched.away = false;
  Told told;
  reader.read_tree(told);
  EXPECT_EQ(told.entries, tree);
}

// Another thread looks for a chunk that is missing, and so at the packs there are, while reads of
// several packs are begun.
struct FetchTest : ReadTreeTest {
  std::vector<ChunkRef> refs;
  Watched watched{store};
  Chunks chunks{open(watched), {.threads = 0}};
  const ChunkRef nowhere{sha256("nowhere"), ByteCount(7)};

  FetchTest() {
    ChunkOptions options;
    options.threads = 0;
    options.pack_size = ByteCount(1);
    options.clock = &clock;
    options.seed = 1;
    Chunks writer(vault, options);
    for (std::uint64_t i = 0; i < 5; ++i) {
      refs.push_back(writer.put(noise(500, i)));
      writer.flush();
      clock.advance(Millis(1));  // packs are in the order of chunks
    }
    EXPECT_TRUE(chunks.has(refs[0].digest));
  }

  void expect_all_but_the_first(std::vector<std::future<Chunks::Content>> contents) {
    ASSERT_EQ(contents.size(), refs.size());
    for (std::size_t i = 1; i < refs.size(); ++i) {
      EXPECT_EQ(contents[i].get().bytes, noise(500, i)) << i;
    }
  }
};

TEST_P(FetchTest, ThatSeesFewerPacks) {
  watched.at_read = [&] {
    store.remove(list_packs(vault).front().name);
    EXPECT_EQ(error_of([&] { chunks.get(nowhere); }).code(), Code::not_found);
  };
  auto contents = chunks.open_later(chunks.fetch(refs, ByteCount(1 << 20)));
  EXPECT_EQ(error_of([&] { contents[0].get(); }).code(), Code::not_found);
  expect_all_but_the_first(std::move(contents));
}

TEST_P(FetchTest, ThatCannotReadThem) {
  watched.at_read = [&] {
    store.remove(list_packs(vault).front().name);
    watched.away = true;
    EXPECT_EQ(error_of([&] { chunks.get(nowhere); }).code(), Code::unavailable);
    watched.away = false;
  };
  expect_all_but_the_first(chunks.open_later(chunks.fetch(refs, ByteCount(1 << 20))));
}

// With another look at all packs for each chunk that was opened ahead, it would take hours to tell.
TEST_P(FetchTest, OfAPackThatIsGoneItIsToldByOneLookAtAll) {
  tree = {{"f", noise(300'000, 1)}};
  take(ByteCount(64u << 20), ByteCount(100));
  std::vector<ChunkRef> missing;
  for (std::size_t at = 0; at < 300'000; at += 100) {
    missing.push_back({sha256(tree.at("f").substr(at, 100)), ByteCount(100)});
  }
  Chunks several(open(watched));
  EXPECT_TRUE(several.has(missing[0].digest));
  store.remove(list_packs(vault).back().name);
  watched.lists = 0;
  for (auto& content : several.open_later(several.fetch(missing, ByteCount(8u << 20)))) {
    EXPECT_EQ(error_of([&] { content.get(); }).code(), Code::not_found);
  }
  EXPECT_EQ(watched.lists, 3);  // there are others than before, so all footers are read
  watched.lists = watched.reads = 0;
  for (auto& content : several.open_later(several.fetch(missing, ByteCount(8u << 20)))) {
    EXPECT_EQ(error_of([&] { content.get(); }).code(), Code::not_found);
  }
  EXPECT_EQ(watched.lists, 1);
  EXPECT_EQ(watched.reads, 0);
}

// Whatever was looked at before: by a chunk that is missing, or that was elsewhere when it was
// asked for.
TEST_P(FetchTest, WhatCameMeanwhileIsFound) {
  const std::string content = "nowhere";
  EXPECT_EQ(error_of([&] { chunks.get(nowhere); }).code(), Code::not_found);
  Chunks other(vault);
  other.put(content);
  other.flush();
  EXPECT_EQ(chunks.get(nowhere), content);
  auto asked = chunks.fetch(std::span(&nowhere, 1), ByteCount(1));
  Chunks anew(vault, {.absent = {list_packs(vault).back().name}});
  anew.put(content);
  anew.flush();
  for (const auto& pack : list_packs(vault)) {
    if (pack.name != *anew.used_packs().begin()) store.remove(pack.name);
  }
  EXPECT_EQ(chunks.open_later(std::move(asked)).at(0).get().bytes, content);
  EXPECT_EQ(chunks.get(nowhere), content);
}

// On a bad day it is not told of a pack that is there.
TEST_P(FetchTest, OneListingThatLacksAPackDoesNoHarm) {
  watched.not_listed = list_packs(vault).front().name;
  Chunks other(open(watched));
  EXPECT_EQ(other.get(refs[0]), noise(500, 0));
  store.remove(list_packs(vault).back().name);
  watched.at_read = [&] { watched.not_listed = list_packs(vault).front().name; };
  EXPECT_EQ(error_of([&] { other.get(refs.back()); }).code(), Code::not_found);
  EXPECT_EQ(other.get(refs[0]), noise(500, 0));
}

TEST_P(FetchTest, WhatIsAbandonedIsNotLookedFor) {
  auto abandoned = std::make_shared<Cancel>();
  abandoned->request();
  auto coming = chunks.fetch(refs, ByteCount(1 << 20));
  coming.push_back({nowhere, nullptr, {}});
  watched.lists = 0;
  for (auto& content : chunks.open_later(std::move(coming), abandoned)) {
    EXPECT_EQ(error_of([&] { content.get(); }).code(), Code::cancelled);
  }
  EXPECT_EQ(watched.lists, 0);
}

// One that cannot be had may be readable now, though the list is the same.
TEST_P(FetchTest, AnotherLookReadsWhatWasNotGivenBefore) {
  const auto name = list_packs(vault).back().name;
  watched.away_name = name;
  Chunks other(open(watched));
  EXPECT_EQ(error_of([&] { other.get(refs.back()); }).code(), Code::unavailable);
  watched.away_name = "";
  EXPECT_EQ(other.get(refs.back()), noise(500, refs.size() - 1));
}

TEST_P(ReadTreeTest, WhatTheSinkThrowsComesOut) {
  auto id = take();
  Told told;
  told.at_data = [](const std::string&) { throw Error(Code::no_space, "disk", "is full"); };
  EXPECT_EQ(error_of([&] { read(store, id, told); }).code(), Code::no_space);
}

// More than one lane takes at once: two files are begun before one of them ends.
TEST_P(ReadTreeTest, TwoFilesAreWrittenAtTheSameTime) {
  auto id = take_many_chunks();
  Told told;
  std::condition_variable changed;
  std::set<std::string> written;
  std::mutex mutex;
  told.at_data = [&](const std::string& path) {
    std::unique_lock lock(mutex);
    written.insert(path);
    changed.notify_all();
    // The last one may be alone.
    EXPECT_TRUE(
        changed.wait_for(lock, std::chrono::minutes(5), [&] { return written.size() > 1; }));
  };
  read(store, id, told);
  EXPECT_EQ(told.entries, tree);
}

TEST_P(ReadTreeTest, AnErrorOfOneFileEndsThemAll) {
  auto id = take_many_chunks();
  Told told;
  std::atomic<bool> threw = false;
  told.at_data = [&](const std::string&) {
    if (!threw.exchange(true)) throw Error(Code::no_space, "disk", "is full");
  };
  EXPECT_EQ(error_of([&] { read(store, id, told); }).code(), Code::no_space);
  EXPECT_LT(told.entries.size(), tree.size());
}

// What comes after a directory that could not be made would fail for want of it.
TEST_P(ReadTreeTest, WhatFailedFirstIsToldAndNothingFollows) {
  struct Refusing : Told {
    std::atomic<int> added = 0;
    void add(const Entry&) override {
      if (++added > 1) throw Error(Code::failed, "mkdir", "there is no place for it");
      // Long enough that the other lane asks for more.
      for (int i = 0; i < 10'000; ++i) std::this_thread::yield();
      throw Error(Code::refused, "tablespace", "is not empty");
    }
  };
  SnapshotWriter writer(vault, "test");
  writer.add_file("large", 0600, Timestamp(1), noise(100, 1));
  for (int i = 0; i < 5000; ++i) writer.add_file(fmt::format("{}", i), 0600, Timestamp(1), "x");
  for (int i = 0; i < 100; ++i) writer.add_directory(fmt::format("d{}", i), 0700);
  auto id = writer.finish({});
  for (int run = 0; run < 10; ++run) {
    Refusing told;
    EXPECT_EQ(error_of([&] { read(store, id, told); }).code(), Code::refused);
    EXPECT_EQ(told.added, 1);
  }
}

// Who has no threads gets one file after another, in order, on his own thread.
TEST_P(ReadTreeTest, WithoutThreadsAllIsDoneByTheCaller) {
  auto id = take_many_chunks();
  Told told;
  std::vector<std::string> order;
  const auto here = std::this_thread::get_id();
  told.at_data = [&](const std::string& path) {
    EXPECT_TRUE(std::this_thread::get_id() == here);
    if (order.empty() || order.back() != path) order.push_back(path);
  };
  read(store, id, told, 0);
  EXPECT_EQ(told.entries, tree);
  EXPECT_EQ(order, (std::vector<std::string>{"a", "b", "c"}));
}

// However many there are, and however little is in each.
TEST_P(ReadTreeTest, ManySmallFilesTakeFewReads) {
  tree = {{"d", ""}};
  for (int i = 0; i < 10'000; ++i) tree["d/" + std::to_string(i)] = noise(20, i);
  auto id = take();
  Watched watched(store);
  Told told;
  read(watched, id, told);
  EXPECT_EQ(told.entries, tree);
  EXPECT_LT(watched.reads, 60);
}

// A list may be anybody's: the same chunk under two sizes, and one that cannot be.
TEST_P(ReadTreeTest, EachReferenceIsCheckedByItself) {
  take();
  auto digest = sha256(tree.at(some_file));
  std::vector<ChunkRef> refs{{digest, ByteCount(500)},
                             {digest, ByteCount(501)},
                             {digest, ByteCount(kMaxChunk.value + 1)},
                             {sha256("nowhere"), ByteCount(7)},
                             {digest, ByteCount(500)}};
  Chunks chunks(vault);
  auto contents = chunks.open_later(chunks.fetch(refs, ByteCount(1 << 20)));
  ASSERT_EQ(contents.size(), refs.size());
  EXPECT_EQ(contents[0].get().bytes, tree.at(some_file));
  EXPECT_EQ(error_of([&] { contents[1].get(); }).code(), Code::corrupt);
  EXPECT_EQ(error_of([&] { contents[2].get(); }).code(), Code::corrupt);
  EXPECT_EQ(error_of([&] { contents[3].get(); }).code(), Code::not_found);
  EXPECT_EQ(contents[4].get().bytes, tree.at(some_file));
}

LIFEBOAT_ON_BOTH_KINDS(ReadTreeTest);
LIFEBOAT_ON_BOTH_KINDS(FetchTest);

}  // namespace
}  // namespace lifeboat::vault
