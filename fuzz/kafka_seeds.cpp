#include "captured_answers.hpp"
#include "fuzz/subjects.hpp"
#include "kafka/captured_batches.hpp"
#include "kafka/compression.hpp"
#include "kafka/offset_translation.hpp"

namespace lifeboat::fuzz {
namespace {

using Seeds = std::vector<std::string>;

Seeds batch_seeds() {
  auto seeds = captured_batches();
  seeds.push_back(seeds[0] + seeds[1] + seeds[2] + seeds[3] + seeds[4]);
  return seeds;
}

Seeds compression_seeds() {
  const auto stored = captured_batches();
  const std::string text(3000, 'a');
  Seeds seeds;
  for (int codec = 1; codec <= 4; ++codec) {
    const auto name = std::string(1, static_cast<char>(codec - 1));
    seeds.push_back(name + stored[static_cast<std::size_t>(codec)].substr(kafka::kBatchHeader));
    seeds.push_back(name + kafka::compress(static_cast<kafka::Compression>(codec), text));
  }
  seeds.push_back('\1' + bytes_of("82534e4150505900000000010000000100000006") +
                  bytes_of("040c61616161"));
  return seeds;
}

Seeds answer_seeds() {
  using namespace kafka::captured;
  const char* captured[] = {kMetadata, kListOffsets,    kFindCoordinator, kLeaveGroup,
                            kFetch,    kInitProducerId, kProduce};
  Seeds seeds;
  for (std::size_t i = 0; i < std::size(captured); ++i) {
    seeds.push_back(std::string(1, static_cast<char>(i)) + bytes_of(captured[i]));
  }
  seeds.push_back('\4' + bytes_of(kFetchMore));
  return seeds;
}

Seeds translation_seeds() {
  kafka::OffsetTranslation table;
  for (int i = 0; i < 5; ++i) table.add(Offset(i * 10), Offset(i * 10 + 4), Offset(i * 4));
  return {table.serialise(), R"({"v":1,"start":3,"ranges":[]})",
          R"({"v":1,"start":0,"ranges":[[9223372036854775800,9223372036854775807,5]]})"};
}

Seeds checkpoint_seeds() {
  return {"0\n2\nevents 0 15\nevents 11 9223372036854775807\n", "0\n0\n", ""};
}

// The example of RFC 7677, section 3.
Seeds scram_seeds() {
  return {std::string(1, '\0') +
              "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i="
              "4096",
          "\1v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="};
}

}  // namespace

std::string bytes_of(std::string_view hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
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

std::vector<Subject> kafka_subjects() {
  return {
      {"batches", batches, batch_seeds},
      {"records", records, captured_batches},
      {"compression", compression, compression_seeds},
      {"answers", answers, answer_seeds},
      {"translation", translation, translation_seeds, "", kFewInputs},
      {"checkpoints", checkpoints, checkpoint_seeds},
      {"scram", scram, scram_seeds, "", 3'000}};  // a key is derived from the password each time
}

}  // namespace lifeboat::fuzz
