#include "kafka/scram.hpp"

#include <gtest/gtest.h>

#include "base/error.hpp"

namespace lifeboat::kafka {
namespace {

// The example of RFC 7677, section 3.
const SaslConfig kUser{SaslMechanism::scram_sha_256, "user", "pencil"};
constexpr char kNonce[] = "rOprNGfwEbeRWgbNEkqO";
constexpr char kServerFirst[] =
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
constexpr char kServerFinal[] = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

TEST(Scram, SpeaksAsTheExampleOfTheStandard) {
  ScramClient client(kUser, kNonce, "broker:1");
  EXPECT_EQ(client.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
  EXPECT_EQ(client.final(kServerFirst),
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
            "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
  client.check(kServerFinal);
}

TEST(Scram, NamesAreEscaped) {
  const ScramClient client({SaslMechanism::scram_sha_512, "a=b,c", "x"}, "n", "broker:1");
  EXPECT_EQ(client.first(), "n,,n=a=3Db=2Cc,r=n");
}

std::string refusal_of_first(const std::string& server_first) {
  ScramClient client(kUser, kNonce, "broker:1");
  try {
    client.final(server_first);
    return "taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::denied);
    EXPECT_EQ(error.subject(), "broker:1");
    EXPECT_EQ(std::string(error.what()).find("pencil"), std::string::npos);
    return error.message();
  }
}

TEST(Scram, HostileFirstAnswersAreRefused) {
  const std::string nonce = "r=rOprNGfwEbeRWgbNEkqOx";
  const std::string salt = ",s=W22ZaJ0SNY7soEsUEjb6gQ==";
  EXPECT_EQ(refusal_of_first(nonce + salt + ",i=4096"), "taken");
  for (const auto& [answer, why] : std::vector<std::pair<std::string, std::string>>{
           {"", "field"},
           {"e=other-error", "field"},
           {"m=x," + nonce + salt + ",i=4096", "extension"},
           {"r=somebody-else" + salt + ",i=4096", "nonce"},
           {"r=rOprNGfwEbeRWgbNEkqO" + salt + ",i=4096", "nonce"},
           {nonce + ",s=,i=4096", "salt"},
           {nonce + ",s=?!,i=4096", "salt"},
           {nonce + ",s=W22Z=aJ0,i=4096", "salt"},
           {nonce + salt + ",i=1", "iterations"},
           {nonce + salt + ",i=4095", "iterations"},
           {nonce + salt + ",i=-4096", "iterations"},
           {nonce + salt + ",i=4096x", "iterations"},
           {nonce + salt + ",i=2000000000", "iterations"},
           {nonce + salt + ",i=99999999999999999999", "iterations"},
           {nonce + salt, "field"},
           {nonce + ",s=" + std::string(1u << 20, 'A') + ",i=4096", "long"}}) {
    EXPECT_NE(refusal_of_first(answer).find(why), std::string::npos) << answer.substr(0, 80);
  }
}

TEST(Scram, AServerThatDoesNotKnowThePasswordIsRefused) {
  for (const std::string answer :
       {"", "v=", "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G8=", "v=6rriTRBi23WpRR/wtup+mMhU",
        "e=invalid-proof", "x=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="}) {
    ScramClient client(kUser, kNonce, "broker:1");
    client.final(kServerFirst);
    EXPECT_THROW(client.check(answer), Error) << answer;
  }
  const ScramClient early(kUser, kNonce, "broker:1");
  EXPECT_THROW(early.check(kServerFinal), Error) << "before anything was proven";
}

}  // namespace
}  // namespace lifeboat::kafka
