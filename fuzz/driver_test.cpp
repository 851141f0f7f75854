#include <gtest/gtest.h>
#include <unistd.h>
#include <zstd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include "base/bytes.hpp"
#include "captured_answers.hpp"
#include "fuzz/targets.hpp"
#include "kafka/captured_batches.hpp"
#include "kafka/compression.hpp"
#include "kafka/offset_translation.hpp"
#include "recovery/extent_attributes.hpp"
#include "vault/logbook_format.hpp"
#include "vault/pack_format.hpp"
#include "vault/pin_format.hpp"
#include "vault/proof_format.hpp"
#include "vault/sealing.hpp"
#include "vault/snapshot_format.hpp"
#include "vault/summary_format.hpp"

// Seeds are bytes that real servers sent, or that this project wrote; mutations come from a
// generator whose seed is $LIFEBOAT_SEED, else 1. Built with AddressSanitizer and
// UndefinedBehaviorSanitizer, which also refuse large allocations (below). What fails is printed
// with the seed and its bytes.

extern "C" const char* __asan_default_options() {
  return "max_allocation_size_mb=64:hard_rss_limit_mb=768:quarantine_size_mb=64:detect_leaks=0:"
         "abort_on_error=0";
}
extern "C" const char* __ubsan_default_options() {
  return "print_stacktrace=1";
}
extern "C" void __sanitizer_set_death_callback(void (*callback)());

namespace lifeboat::fuzz {
namespace {

constexpr unsigned kMostSeconds = 180;  // for a whole target, on a busy machine too
constexpr std::size_t kLongest = 100000;

struct Current {
  const char* target = "";
  std::uint64_t seed = 0;
  std::uint64_t number = 0;
  std::string bytes;
} current;

void tell() {
  std::fprintf(stderr, "\nfuzz: target %s, LIFEBOAT_SEED=%llu, input %llu: %s\n", current.target,
               static_cast<unsigned long long>(current.seed),
               static_cast<unsigned long long>(current.number), to_hex(current.bytes).c_str());
}
void tell_and_end(int) {
  tell();
  _exit(1);
}

std::string bytes_of(std::string_view hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

class Mutator {
 public:
  Mutator(std::uint64_t seed, const std::vector<std::string>& seeds)
      : random_(seed), seeds_(seeds) {}

  std::string next() {
    auto bytes = seeds_[below(seeds_.size())];
    for (auto n = 1 + below(6); n > 0; --n) change(bytes);
    if (bytes.size() > kLongest) bytes.resize(kLongest);
    return bytes;
  }

 private:
  std::size_t below(std::size_t n) { return static_cast<std::size_t>(random_() % n); }
  char odd_byte() {
    static constexpr unsigned char odd[] = {0, 1, 2, 0x7f, 0x80, 0xff, 0x3f, 0x10};
    return static_cast<char>(below(2) == 0 ? random_() : odd[below(std::size(odd))]);
  }

  void change(std::string& bytes) {
    const auto at = below(bytes.size() + 1);
    const auto left = bytes.size() - at;
    switch (below(7)) {
      case 0:
        if (left > 0) bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8)));
        break;
      case 1:
        if (left > 0) bytes[at] = odd_byte();
        break;
      case 2:
        bytes.resize(at);
        break;
      case 3:
        bytes.erase(at, 1 + below(8));
        break;
      case 4:
        bytes.insert(at, 1 + below(8), odd_byte());
        break;
      case 5: {  // a length or a number that lies
        const auto width = std::min<std::size_t>(left, below(2) == 0 ? 4 : 8);
        for (std::size_t i = 0; i < width; ++i) bytes[at + i] = odd_byte();
        break;
      }
      default: {  // a part of another input
        const auto& other = seeds_[below(seeds_.size())];
        const auto from = below(other.size() + 1);
        bytes.insert(at, other, from, below(64));
      }
    }
  }

  std::mt19937_64 random_;
  const std::vector<std::string>& seeds_;
};

std::uint64_t chosen_seed() {
  const char* given = std::getenv("LIFEBOAT_SEED");
  return given == nullptr ? 1 : std::strtoull(given, nullptr, 10);
}

void fuzz(const char* name, Target target, const std::vector<std::string>& seeds, int inputs) {
  current = {name, chosen_seed(), 0, {}};
  std::printf("%s: LIFEBOAT_SEED=%llu\n", name, static_cast<unsigned long long>(current.seed));
  __sanitizer_set_death_callback(tell);
  std::signal(SIGALRM, tell_and_end);  // a hang
  std::signal(SIGABRT, tell_and_end);  // broken()
  alarm(kMostSeconds);
  for (const auto& seed : seeds) target(seed);  // these are good: an Error fails the test
  Mutator mutator(current.seed, seeds);
  for (; current.number < static_cast<std::uint64_t>(inputs); ++current.number) {
    current.bytes = mutator.next();
    try {
      run(target, current.bytes);
    } catch (const std::exception& thrown) {
      tell();
      FAIL() << "not an Error: " << thrown.what();
    }
  }
  alarm(0);
}

std::vector<std::string> captured_batches() {
  using namespace kafka::captured;
  std::vector<std::string> seeds;
  for (const char* hex : {kPlain, kGzip, kSnappy, kLz4, kZstd, kAborted, kAbortMarker, kCommitted,
                          kCommitMarker, kCompacted}) {
    seeds.push_back(bytes_of(hex));
  }
  return seeds;
}

TEST(Fuzz, Batches) {
  auto seeds = captured_batches();
  seeds.push_back(seeds[0] + seeds[1] + seeds[2] + seeds[3] + seeds[4]);
  fuzz("batches", batches, seeds, 60000);
}

TEST(Fuzz, Records) {
  fuzz("records", records, captured_batches(), 60000);
}

TEST(Fuzz, Compression) {
  const auto stored = captured_batches();
  const std::string text(3000, 'a');
  std::vector<std::string> seeds;
  for (int codec = 1; codec <= 4; ++codec) {
    const auto name = std::string(1, static_cast<char>(codec - 1));
    seeds.push_back(name + stored[static_cast<std::size_t>(codec)].substr(kafka::kBatchHeader));
    seeds.push_back(name + kafka::compress(static_cast<kafka::Compression>(codec), text));
  }
  seeds.push_back('\1' + bytes_of("82534e4150505900000000010000000100000006") +
                  bytes_of("040c61616161"));
  fuzz("compression", compression, seeds, 60000);
}

TEST(Fuzz, Answers) {
  using namespace kafka::captured;
  const char* captured[] = {kMetadata, kListOffsets,    kFindCoordinator, kLeaveGroup,
                            kFetch,    kInitProducerId, kProduce};
  std::vector<std::string> seeds;
  for (std::size_t i = 0; i < std::size(captured); ++i) {
    seeds.push_back(std::string(1, static_cast<char>(i)) + bytes_of(captured[i]));
  }
  seeds.push_back('\4' + bytes_of(kFetchMore));
  fuzz("answers", answers, seeds, 60000);
}

TEST(Fuzz, Listings) {
  const std::string begin = "<?xml version=\"1.0\"?>\n";
  fuzz(
      "listings", listings,
      {'\0' + begin +
           "<ListBucketResult><Name>b</Name><IsTruncated>true</IsTruncated><NextContinuationToken>a"
           "&amp;b</NextContinuationToken><Contents><Key>p/a%2Fb</Key><Size>12</Size><ETag>&quot;e1"
           "&quot;</ETag></Contents><Contents><Key>c</Key><Size>0</Size></Contents>"
           "</ListBucketResult>",
       '\1' + begin +
           "<ListVersionsResult><IsTruncated>false</IsTruncated><DeleteMarker><Key>a</Key>"
           "<VersionId>v2</VersionId><LastModified>2026-11-28T17:05:12Z</LastModified></"
           "DeleteMarker>"
           "<Version><Key>a</Key><VersionId>v1</VersionId><LastModified>2026-11-28T17:05:11Z"
           "</LastModified><Size>12</Size></Version></ListVersionsResult>"},
      60000);
}

TEST(Fuzz, Packs) {
  std::vector<std::string> seeds;
  for (const std::size_t size : {10u, 3000u}) {
    vault::PackBuilder pack("packs/20261122T170506123Z-0000000000000000", nullptr);
    for (const char c : {'x', 'y'}) {
      const std::string content(size, c);
      auto chunk = vault::compress_chunk(content, 1);
      chunk.digest = sha256(content);
      pack.add(std::move(chunk));
    }
    std::string delta(size, '\0');
    vault::to_delta(std::string(size, 'z'), delta.data());
    auto chunk = vault::compress_chunk(delta, 1);
    chunk.codec = vault::ChunkCodec::zstd_delta;
    chunk.digest = sha256(std::string(size, 'z'));
    if (size > 1000) pack.add(std::move(chunk));
    seeds.emplace_back();
    for (const auto part : pack.finish()) seeds.back() += part;
  }
  fuzz("packs", packs, seeds, 40000);
}

TEST(Fuzz, Entries) {
  const auto file = vault::encode_file("f", 0600, Timestamp(1)) +
                    vault::encode_chunk({sha256("x"), ByteCount(1)}) +
                    vault::encode_end(ByteCount(1));
  fuzz("entries", entries,
       {file + file, vault::encode_directory("a", 0700) + vault::encode_directory("b", 0700),
        vault::encode_symlink("aa", "bb") + vault::encode_symlink("cc", "dd")},
       60000);
}

TEST(Fuzz, Logbook) {
  const std::string name = "logbook/20261122T170506123Z-00000000/00000000000000000000";
  std::vector<std::string> seeds;
  for (const int level : {0, 3}) {
    vault::LogbookObject object(name, level);
    const vault::LogName log{"kafka/c/t/events/0"};
    object.add({log, Position(0), Position(3), Timestamp(1), Timestamp(2), "{}"},
               {vault::piece_of(std::string(2000, 'x'))});
    object.add({log, Position(3), Position(9), Timestamp(1), Timestamp(2), ""},
               {vault::piece_of("batches")});
    std::string bytes;
    for (const auto& part :
         object.finish(Timestamp(5), {{log, Position(9), Position(12), "retention"}})) {
      bytes += part;
    }
    seeds.push_back(std::move(bytes));
  }
  fuzz("logbook", logbook, seeds, 40000);
}

constexpr const char* kIncarnation = "20261122T170506123Z-00000000";

// Two logs, a gap; the first of several replaces others.
struct LogbookSeed {
  std::string bytes;
  vault::Footer footer;
};
LogbookSeed logbook_seed(std::uint64_t number) {
  const vault::LogName events{"kafka/c/t/events/0"};
  vault::LogbookObject object(vault::logbook_name({kIncarnation, number}), 1);
  const Position at(static_cast<std::int64_t>(number) * 100);
  object.add({events, at, at + 50, Timestamp(1), Timestamp(2), R"({"epochs":[[2,5]]})"},
             {vault::piece_of(std::string(2000, 'x'))});
  object.add({events, at + 60, at + 70, Timestamp(3), Timestamp(3), ""},
             {vault::piece_of("batches")});
  object.add({{"postgres/7/00000001"}, at, at + 3, Timestamp(5), Timestamp(5), ""},
             {vault::piece_of("WAL")});
  vault::ReplacedObjects replaced;
  if (number == 7) replaced.add(kIncarnation, 0, 7);
  LogbookSeed seed;
  const vault::Gap gap{events, at + 50, at + 60, "retention"};
  for (const auto part : object.finish(Timestamp(9), {gap}, replaced)) seed.bytes += part;
  seed.footer = object.footer();
  return seed;
}

std::string expand(std::string_view frame, std::uint64_t size) {
  std::string out(size, '\0');
  EXPECT_EQ(ZSTD_decompress(out.data(), out.size(), frame.data(), frame.size()), size);
  return out;
}

TEST(Fuzz, Summaries) {
  vault::SummaryBuilder builder;
  std::vector<std::string> seeds;
  for (const std::uint64_t number : {7, 8}) {
    const auto object = logbook_seed(number);
    builder.add({kIncarnation, number}, ByteCount(object.bytes.size()), object.footer);
    seeds.push_back('\3' + object.bytes);
  }
  const auto name = vault::summary_name(kIncarnation, 0);
  const auto summary = builder.finish(nullptr, name, Timestamp(6));
  const std::string_view payload = std::string_view(summary).substr(vault::kHeaderSize);
  seeds.push_back(std::string(1, '\0') + summary);
  seeds.push_back('\1' + expand(payload.substr(8, load_le<std::uint32_t>(payload.data())),
                                load_le<std::uint32_t>(payload.data() + 4)));
  for (const auto& log : vault::open_summary(nullptr, name, summary).logs) {
    const auto block = std::string_view(summary).substr(log.offset.value, log.stored.value);
    seeds.push_back('\2' + std::string(1, static_cast<char>(log.extents)) +
                    expand(block, log.raw.value));
  }
  fuzz("summaries", summaries, seeds, 60000);
}

TEST(Fuzz, Attributes) {
  const auto stored = captured_batches();
  std::vector<std::string> texts;
  for (const auto& batches :
       {stored[0], stored[5], stored[5] + stored[6], stored[6], stored[7], stored[7] + stored[8]}) {
    const auto facts = kafka::facts_of(kafka::split_batches(batches).batches);
    texts.push_back(recovery::to_attributes(facts));
    ASSERT_EQ(recovery::parse_attributes(texts.back()), facts);
  }
  std::vector<std::string> seeds;
  for (const auto& first : texts) {
    for (const auto& second : texts) seeds.push_back(first + '\n' + second);
  }
  fuzz("attributes", attributes, seeds, 60000);
}

TEST(Fuzz, Sealed) {
  const vault::Sealing sealing(vault::Secret(std::string(vault::kKeySize, 'k')), "the vault");
  const std::string incarnation = "20261122T170506123Z-00000000";
  const auto name = vault::logbook_name({incarnation, 0});
  const vault::LogName log{"kafka/c/t/events/0"};
  vault::LogbookObject object(name, 1, &sealing);
  object.add({log, Position(0), Position(3), Timestamp(1), Timestamp(2), "{}"},
             {vault::piece_of(std::string(2000, 'x'))});
  std::string bytes;
  for (const auto& part : object.finish(Timestamp(5), {})) bytes += part;
  vault::SummaryBuilder builder;
  builder.add({incarnation, 0}, ByteCount(bytes.size()), object.footer());
  const auto summary = builder.finish(&sealing, vault::summary_name(incarnation, 0), Timestamp(6));
  const auto point = vault::seal(&sealing, vault::ObjectType::point,
                                 "points/20261122T170506123Z-0000", "{\"a\":1}");
  vault::PackBuilder pack("packs/20261122T170506123Z-0000000000000000", &sealing);
  pack.add({sha256("hello"), 5, vault::ChunkCodec::none, "hello"});
  std::string packed(1, '\3');
  for (const auto part : pack.finish()) packed += part;
  fuzz("sealed", sealed, {std::string(1, '\0') + bytes, '\1' + summary, '\2' + point, packed},
       60000);
}

TEST(Fuzz, Keys) {
  std::string key = "\2";  // a key file's
  append_le<std::uint16_t>(key, 3);
  key += "abc";
  append_le<std::int64_t>(key, 1);
  append_le<std::uint16_t>(key, 5);
  key += "label" + std::string(12 + 32 + 48, '\0');
  auto passphrase = key;
  passphrase[0] = '\1';
  passphrase[1 + 5 + 8 + 7] = 10;  // N…
  passphrase[1 + 5 + 8 + 7 + 4] = 8;
  passphrase[1 + 5 + 8 + 7 + 8] = 1;
  const std::string digits(64, 'a');
  fuzz("keys", keys,
       {'\1' + key, '\1' + passphrase, std::string(1, '\0') + digits,
        std::string(1, '\0') + "# a comment\n" + digits + "\n"},
       60000);
}

TEST(Fuzz, Proofs) {
  vault::Proof proof;
  proof.id = "20261122T170506123Z-0123456789abcdef";
  const auto empty = vault::encode_proof(proof);
  proof.share = vault::Share{50'000};
  proof.point = "20260101T000000000Z-0001";
  proof.damages = {{"packs/x", "pack", "is not what it was", "", {"p"}}};
  proof.points = {{"p", Timestamp(1), Timestamp(1), Timestamp(1), {}}};
  vault::add_outcome(proof.points[0],
                     {Timestamp(2), vault::Depth::data, vault::Verdict::failed, "why"});
  proof.damaged = {"packs/x"};
  proof.next = vault::SamplePlace{1, 2, 3, 4};
  proof.replaces = {"2"};
  fuzz("proofs", proofs, {empty, vault::encode_proof(proof)}, 60000);
}

TEST(Fuzz, Pins) {
  vault::Pin pin;
  pin.id = "20261122T170506123Z-0123456789abcdef";
  pin.point.id = "20261122T170000000Z-3f9a";
  pin.host = "db1";
  const auto small = vault::encode(pin);
  pin.point.stores = {
      {"postgres",
       {{"snapshot", std::string(64, 'a')},
        {"logs", {{{"log", "postgres/1/00000001"}, {"position", 1}, {"until", 2}}}}}}};
  pin.renewed = pin.revoked = Timestamp(1);
  pin.beats = 3;
  fuzz("pins", pins, {small, vault::encode(pin)}, 60000);
}

TEST(Fuzz, Points) {
  vault::RecoveryPoint point;
  point.id = "20261122T170506123Z-0123";
  point.stores = {{"postgres",
                   {{"snapshot", std::string(64, 'a')},
                    {"logs", {{{"log", "postgres/1/00000001"}, {"position", 1}, {"until", 2}}}}}}};
  vault::UnfinishedPoint open{point.id, Timestamp(1), "label", "db1", "/state", 7, {}, ""};
  auto revoked = open;
  revoked.revoked = revoked.renewed = Timestamp(2);
  revoked.why = "its backup died";
  fuzz("points", points, {vault::encode(point), vault::encode(open), vault::encode(revoked)},
       60000);
}

TEST(Fuzz, Translation) {
  kafka::OffsetTranslation table;
  for (int i = 0; i < 5; ++i) table.add(Offset(i * 10), Offset(i * 10 + 4), Offset(i * 4));
  fuzz("translation", translation,
       {table.serialise(), R"({"v":1,"start":3,"ranges":[]})",
        R"({"v":1,"start":0,"ranges":[[9223372036854775800,9223372036854775807,5]]})"},
       60000);
}

}  // namespace
}  // namespace lifeboat::fuzz
