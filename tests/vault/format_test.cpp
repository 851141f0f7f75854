// The bytes of the format, fixed: what one release wrote, every later one reads. docs/format.md
// shows the same bytes.
#include <fstream>
#include <sstream>

#include "vault/logbook_format.hpp"
#include "vault/pack_format.hpp"
#include "vault/pin_format.hpp"
#include "vault/proof_format.hpp"
#include "vault/summary_format.hpp"
#include "vault_fixture.hpp"

namespace lifeboat::vault {
namespace {

// The way docs/format.md prints bytes: 16 a line, in groups of 4.
std::string dump(std::string_view bytes) {
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i % 16 == 0) out += fmt::format("{}{:04x} ", i == 0 ? "" : "\n", i);
    out += (i % 4 == 0 ? " " : "") + to_hex(bytes.substr(i, 1));
  }
  return out + "\n";
}

std::string format_page() {
  std::ifstream in(std::string(LIFEBOAT_SOURCE_DIR) + "/docs/format.md");
  std::stringstream out;
  out << in.rdbuf();
  return out.str();
}

TEST(Format, TheExamplesOfThePageAreWhatIsWritten) {
  MemoryStore store;
  ManualClock clock(*parse_timestamp("2026-11-22T17:05:06.123Z"));
  Random random(1);
  Vault vault = Vault::create(store, clock, random);

  PackBuilder pack("packs/20261122T170506123Z-0000000000000000", nullptr);
  pack.add({sha256("hello"), 5, ChunkCodec::none, "hello"});
  std::string whole;
  for (auto part : pack.finish()) whole += part;
  EXPECT_NE(format_page().find(dump(whole)), std::string::npos) << dump(whole);

  LogbookObject object("logbook/20261122T170506123Z-00000000/00000000000000000000", 1);
  object.add({{"postgres/7301/00000001"},
              Position(256),
              Position(261),
              Timestamp(1000),
              Timestamp(2000),
              ""},
             {piece_of("hello")});
  std::string bytes;
  for (const auto& part : object.finish(clock.now(), {})) bytes += part;
  EXPECT_NE(format_page().find(dump(bytes)), std::string::npos) << dump(bytes);

  SummaryBuilder builder;
  builder.add({"20261122T170506123Z-00000000", 0}, ByteCount(bytes.size()), object.footer());
  auto summary = builder.finish(nullptr, summary_name("20261122T180000000Z-00000000", 0),
                                *parse_timestamp("2026-11-22T18:00:00Z"));
  EXPECT_NE(format_page().find(dump(summary)), std::string::npos) << dump(summary);
}

TEST(Format, TheProofOfThePageIsWhatIsWritten) {
  const auto now = *parse_timestamp("2026-11-22T17:05:06.123Z");
  Proof proof;
  proof.id = "20261122T170506123Z-0000000000000000";
  proof.began = proof.finished = now;
  proof.host = "db1";
  proof.depth = Depth::data;
  proof.verdict = Verdict::verified;
  proof.objects = 7;
  proof.bytes = ByteCount(210);
  proof.points = {{"20261122T170000000Z-3f9a", now, now, now, {}}};
  auto page = format_page();
  std::erase(page, '\n');
  EXPECT_NE(page.find(encode_proof(proof)), std::string::npos) << encode_proof(proof);
}

TEST(Format, ThePinOfThePageIsWhatIsWritten) {
  const auto now = *parse_timestamp("2026-11-22T17:05:06.123Z");
  Pin pin;
  pin.id = "20261122T170506123Z-0000000000000000";
  pin.point = {"20261122T170000000Z-3f9a", now, now, "", nlohmann::json::object()};
  pin.follows = true;
  pin.created = now;
  pin.host = "db2";
  pin.folder = "/var/lib/lifeboat";
  pin.process = 4711;
  pin.plan = "20261122T170500000Z-77aa";
  auto page = format_page();
  std::erase(page, '\n');
  EXPECT_NE(page.find(encode(pin)), std::string::npos) << encode(pin);
}

// The page's sealed pack was made by another implementation (tests/cli/sealed_vault.py).
TEST(Format, TheSealedExampleOfThePageOpens) {
  std::string key, id;
  for (int i = 0; i < 32; ++i) key += static_cast<char>(i);
  for (int i = 0; i < 16; ++i) id += fmt::format("{:02x}", i);
  Sealing sealing(Secret(key), id);
  const std::string name = "packs/20261122T170506123Z-0000000000000000";
  auto bytes = bytes_of(
      "4c494645424f4154010002807e00000000000000f5986e5d568097a861dfa7dd"
      "4d353db1d73b3a8f919f6771cba0a1a2a3a4a5a6a7a8a9aaabacadaeafdd89a9"
      "026364230547184e3f8813dcab31fe555fb8d8f4c865af8a87973eb1474cfb9a"
      "db82b2a6aa24cf6e3d4020ac4a740c96b217fce2282b57ebf46323ee08b55100"
      "00009d874a21010002800aabac2f4c424f4154454e44");
  EXPECT_NE(format_page().find(dump(bytes)), std::string::npos) << dump(bytes);
  auto footer = open_pack(&sealing, name, bytes);
  ASSERT_EQ(footer.chunks.size(), 1u);
  const auto& chunk = footer.chunks[0];
  auto seal = sealing.object(ObjectType::pack, name, footer.salt);
  EXPECT_EQ(open_packed_chunk(&seal, name, chunk, bytes.substr(chunk.offset, chunk.stored)),
            "hello");
}

}  // namespace
}  // namespace lifeboat::vault
