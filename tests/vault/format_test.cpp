// The bytes of the format, fixed: what one release wrote, every later one reads. docs/format.md
// shows the same bytes.
#include <fstream>
#include <sstream>

#include "vault/logbook_format.hpp"
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

  auto ref = Chunks(vault).put("hello");
  std::string chunk = *store.get(chunk_name(ref.digest));
  EXPECT_NE(format_page().find(dump(chunk)), std::string::npos) << dump(chunk);

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

// The page's sealed chunk was made by another implementation (tests/cli/sealed_vault.py).
TEST(Format, TheSealedExampleOfThePageOpens) {
  std::string key, id;
  for (int i = 0; i < 32; ++i) key += static_cast<char>(i);
  for (int i = 0; i < 16; ++i) id += fmt::format("{:02x}", i);
  Sealing sealing(Secret(key), id);
  const auto name = chunk_name(sealing.name_of(sha256("hello")));
  EXPECT_EQ(name, "chunks/4d/4da10a6dcfcb495eee6377dd8395d3e5bb3ab7b2254cf2acdfae614b13e5d244");
  EXPECT_NE(format_page().find(name), std::string::npos);
  auto bytes = bytes_of(
      "4c494645424f4154010002802900000000000000af07e5fca0a1a2a3a4a5a6a7"
      "a8a9aaabacadaeaf6e0eabb6c9af778362b3b1b5a25ca63bcb0e9b771b8fbbcf"
      "ec808137f2");
  EXPECT_NE(format_page().find(dump(bytes)), std::string::npos) << dump(bytes);
  auto opened = unseal(&sealing, ObjectType::chunk, name, bytes);
  EXPECT_EQ(opened.payload, std::string("\x05\0\0\0hello", 9));
  EXPECT_EQ(opened.flags, 0);
}

}  // namespace
}  // namespace lifeboat::vault
