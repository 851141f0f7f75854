#include "fuzz/targets.hpp"
#include "recovery/clickhouse_document.hpp"
#include "recovery/kafka_document.hpp"

// What points and snapshots keep of Kafka and ClickHouse. The first byte says which document
// follows. What is taken is written as it was read.
namespace lifeboat::fuzz {
namespace {

nlohmann::json json_of(std::string_view text) {
  auto json = nlohmann::json::parse(text, nullptr, false);
  if (json.is_discarded()) throw Error(Code::corrupt, "a document", "is no JSON");
  return json;
}

template <typename Read>
void expect_same(std::string_view text, Read read) {
  using recovery::to_json;
  const auto again = to_json(read(json_of(text))).dump();
  if (taken([&] { return to_json(read(json_of(again))).dump(); }) != again) {
    broken("a document is not what was read");
  }
}

void saved_file(std::string_view line) {
  const auto file = recovery::decode_saved_file(line);
  const auto again = taken([&] { return recovery::decode_saved_file(encode(file)); });
  if (again.name != file.name || again.size != file.size || again.sha256 != file.sha256) {
    broken("a file is not what was read");
  }
}

}  // namespace

void documents(std::string_view bytes) {
  if (bytes.empty()) return;
  const auto text = bytes.substr(1);
  switch (static_cast<unsigned char>(bytes[0]) % 4) {
    case 0:
      return expect_same(text, recovery::kafka_document_from_json);
    case 1:
      return expect_same(text, recovery::clickhouse_document_from_json);
    case 2:
      return expect_same(text, recovery::group_offsets_from_json);
    default:
      return saved_file(text);
  }
}

}  // namespace lifeboat::fuzz

LIFEBOAT_FUZZ_TARGET(documents)
