#include "kafka/scram.hpp"

#include "fuzz/targets.hpp"

// What a broker answers to SCRAM. The first byte says which of its two answers follows.
namespace lifeboat::fuzz {
namespace {

// The example of RFC 7677, section 3.
kafka::ScramClient client() {
  return {
      {kafka::SaslMechanism::scram_sha_256, "user", "pencil"}, "rOprNGfwEbeRWgbNEkqO", "broker:1"};
}

kafka::ScramClient asked() {
  auto out = client();
  out.final(
      "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
  return out;
}

}  // namespace

void scram(std::string_view bytes) {
  if (bytes.empty()) return;
  const auto answer = bytes.substr(1);
  if (bytes[0] % 2 == 0) {
    auto fresh = client();
    if (fresh.final(answer).find("pencil") != std::string::npos) broken("it tells the password");
    return;
  }
  static const auto waiting = asked();
  waiting.check(answer);
  if (!answer.starts_with("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G")) {
    broken("a signature that proves nothing was taken");
  }
}

}  // namespace lifeboat::fuzz

LIFEBOAT_FUZZ_TARGET(scram)
