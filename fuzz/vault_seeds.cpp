#include <zstd.h>

#include "base/bytes.hpp"
#include "fuzz/subjects.hpp"
#include "vault/logbook_format.hpp"
#include "vault/pack_format.hpp"
#include "vault/pin_format.hpp"
#include "vault/proof_format.hpp"
#include "vault/root_format.hpp"
#include "vault/sealing.hpp"
#include "vault/snapshot_format.hpp"
#include "vault/summary_format.hpp"
#include "vault/word_format.hpp"

namespace lifeboat::fuzz {
namespace {

using Seeds = std::vector<std::string>;

constexpr const char* kIncarnation = "20261122T170506123Z-00000000";
constexpr const char* kId = "20261122T170506123Z-0123456789abcdef";

Seeds root_seeds() {
  const vault::Root plain{std::string(32, 'a'), Timestamp(1), false, ""};
  const vault::Root encrypted{std::string(32, 'b'), Timestamp(2), true, std::string(64, 'c')};
  Seeds seeds;
  for (const auto& root : {plain, encrypted}) {
    const auto object = vault::root_object(root);
    seeds.emplace_back(vault::unframe(vault::ObjectType::root, vault::kRootName, object).payload);
  }
  return seeds;
}

Seeds snapshot_seeds() {
  const vault::SnapshotRoot empty{"znodes", nullptr, 0, ByteCount(0), {}};
  const vault::SnapshotRoot full{"postgres-base",
                                 {{"lsn", "0/3000028"}, {"parts", {1, 2.5, "x"}}},
                                 3,
                                 ByteCount(4096),
                                 {{sha256("a"), ByteCount(17)}, {sha256("b"), vault::kMaxChunk}}};
  return {vault::encode(empty), vault::encode(full)};
}

vault::PrunedLogs some_pruned() {
  vault::PrunedLogs logs;
  logs.narrow({"kafka/c/t/events/0"}, {{Position(7), vault::kLastPosition}});
  logs.narrow({"postgres/7/00000001"},
              {{Position(0), Position(5)}, {Position(9), vault::kLastPosition}});
  return logs;
}

Seeds pruned_seeds() {
  return {vault::encode_pruned(kId, some_pruned())};
}

Seeds word_seeds() {
  vault::PruneWord word;
  word.id = kId;
  word.host = "db1";
  word.packs = {"packs/20261122T170506123Z-0000000000000000"};
  word.snapshots = {"snapshots/" + std::string(64, 'a')};
  word.points = {"points/20261122T170506123Z-0123"};
  word.outside = {"clickhouse backup lifeboat-20261122T170506123Z-0123"};
  word.bytes = ByteCount(4711);
  word.logs = some_pruned();
  word.window = {Timestamp(5), "20261122T170506123Z-0124"};
  Seeds seeds{vault::encode(word)};
  word.suspects = {Timestamp(6), {"20261122T170506123Z-0125"}};
  seeds.push_back(vault::encode(word));
  word.decided = true;
  seeds.push_back(vault::encode(word));
  vault::PruneWord small;
  small.id = kId;
  seeds.push_back(vault::encode(small));
  return seeds;
}

Seeds pack_seeds() {
  Seeds seeds;
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
  return seeds;
}

Seeds entry_seeds() {
  const auto file = vault::encode_file("f", 0600, Timestamp(1)) +
                    vault::encode_chunk({sha256("x"), ByteCount(1)}) +
                    vault::encode_end(ByteCount(1));
  return {file + file, vault::encode_directory("a", 0700) + vault::encode_directory("b", 0700),
          vault::encode_symlink("aa", "bb") + vault::encode_symlink("cc", "dd")};
}

Seeds logbook_seeds() {
  const std::string name = "logbook/20261122T170506123Z-00000000/00000000000000000000";
  Seeds seeds;
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
  return seeds;
}

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
  out.resize(ZSTD_decompress(out.data(), out.size(), frame.data(), frame.size()));
  return out;
}

Seeds summary_seeds() {
  vault::SummaryBuilder builder;
  Seeds seeds;
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
  return seeds;
}

Seeds sealed_seeds() {
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
  return {std::string(1, '\0') + bytes, '\1' + summary, '\2' + point, packed};
}

Seeds key_seeds() {
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
  return {'\1' + key, '\1' + passphrase, std::string(1, '\0') + digits,
          std::string(1, '\0') + "# a comment\n" + digits + "\n"};
}

Seeds proof_seeds() {
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
  return {empty, vault::encode_proof(proof)};
}

Seeds pin_seeds() {
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
  return {small, vault::encode(pin)};
}

Seeds point_seeds() {
  vault::RecoveryPoint point;
  point.id = "20261122T170506123Z-0123";
  point.stores = {{"postgres",
                   {{"snapshot", std::string(64, 'a')},
                    {"logs", {{{"log", "postgres/1/00000001"}, {"position", 1}, {"until", 2}}}}}}};
  vault::UnfinishedPoint open{point.id, Timestamp(1), "label", "db1", "/state", 7, {}, ""};
  auto revoked = open;
  revoked.revoked = revoked.renewed = Timestamp(2);
  revoked.why = "its backup died";
  return {vault::encode(point), vault::encode(open), vault::encode(revoked)};
}

}  // namespace

std::vector<Subject> vault_subjects() {
  return {{"roots", roots, root_seeds, "root", kFewInputs},
          {"keys", keys, key_seeds, "key"},
          {"packs", packs, pack_seeds, "pack", 40'000},
          {"snapshots", snapshots, snapshot_seeds, "snapshot", kFewInputs},
          {"entries", entries, entry_seeds, "snapshot"},
          {"logbook", logbook, logbook_seeds, "logbook", 40'000},
          {"summaries", summaries, summary_seeds, "summary"},
          {"points", points, point_seeds, "point", kFewInputs},
          {"words", words, word_seeds, "word", kFewInputs},
          {"pruned", pruned, pruned_seeds, "pruned", kFewInputs},
          {"pins", pins, pin_seeds, "pin", kFewInputs},
          {"proofs", proofs, proof_seeds, "proof", kFewInputs},
          {"sealed", sealed, sealed_seeds}};
}

}  // namespace lifeboat::fuzz
