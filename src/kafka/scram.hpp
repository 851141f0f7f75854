#pragma once

#include <string>
#include <string_view>

#include "kafka/types.hpp"

namespace lifeboat::kafka {

// A client's side of SCRAM-SHA-256 and SCRAM-SHA-512 without channel binding (RFC 5802, RFC 7677),
// pure. Names and passwords go as the UTF-8 that was given, as Kafka's own client does (no
// SASLprep). What a server may not say is Error(denied) with `server` as subject: a nonce that is
// not ours, fewer than 4096 iterations or absurdly many, a signature that proves no knowledge of
// the password.
class ScramClient {
 public:
  // `nonce`: printable, no comma; new for each conversation.
  ScramClient(const SaslConfig& config, std::string nonce, std::string server);

  std::string first() const;
  std::string final(std::string_view server_first);
  void check(std::string_view server_final) const;  // after final()

 private:
  [[noreturn]] void refuse(const std::string& why) const;

  SaslMechanism mechanism_;
  std::string password_;
  std::string nonce_;
  std::string server_;
  std::string first_bare_;
  std::string expected_signature_;
};

}  // namespace lifeboat::kafka
