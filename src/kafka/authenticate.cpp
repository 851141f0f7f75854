#include "kafka/authenticate.hpp"

#include <fmt/ranges.h>
#include <openssl/rand.h>

#include "base/error.hpp"
#include "kafka/protocol.hpp"
#include "kafka/scram.hpp"

namespace lifeboat::kafka {

namespace {

std::string fresh_nonce() {
  unsigned char bytes[24];
  if (RAND_bytes(bytes, sizeof bytes) != 1) {
    throw Error(Code::failed, "SASL", "OpenSSL has no randomness");
  }
  std::string text;
  for (const auto byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

class Login {
 public:
  Login(const SaslConfig& sasl, const std::string& client_id, const std::string& server,
        const std::function<std::string(Request)>& call)
      : sasl_(sasl), client_id_(client_id), server_(server), call_(call) {}

  void agree() const {
    const auto answer =
        parse_sasl_handshake(call_(sasl_handshake_request(client_id_, sasl_.mechanism)), server_);
    if (answer.error == kNone) return;
    if (answer.error == kUnsupportedSaslMechanism) {
      throw Error(Code::config, server_,
                  fmt::format("does not take {}; it takes {}", to_string(sasl_.mechanism),
                              fmt::join(answer.mechanisms, ", ")),
                  "set kafka.sasl.mechanism to one of them");
    }
    if (answer.error == kIllegalSaslState) {
      throw Error(Code::config, server_, "this listener has no SASL",
                  "leave out kafka.sasl, or name a SASL_SSL or SASL_PLAINTEXT listener");
    }
    throw Error(Code::failed, server_, "SaslHandshake: " + protocol_error_name(answer.error));
  }

  // One message, and the broker's answer to it.
  SaslAnswer say(const std::string& message) const {
    auto answer =
        parse_sasl_authenticate(call_(sasl_authenticate_request(client_id_, message)), server_);
    if (answer.error == kNone) return answer;
    const auto why = answer.message.empty() ? protocol_error_name(answer.error) : answer.message;
    throw Error(Code::denied, server_,
                fmt::format("user {} is not let in by {}: {}", sasl_.username,
                            to_string(sasl_.mechanism), why),
                "check kafka.sasl.username, password and mechanism");
  }

  Millis plain() const {
    std::string message(1, '\0');
    message.append(sasl_.username).push_back('\0');
    return say(message.append(sasl_.password)).lifetime;
  }

  Millis scram() const {
    ScramClient client(sasl_, fresh_nonce(), server_);
    const auto salted = say(client.first());
    const auto proven = say(client.final(salted.bytes));
    client.check(proven.bytes);
    return proven.lifetime;
  }

 private:
  const SaslConfig& sasl_;
  const std::string& client_id_;
  const std::string& server_;
  const std::function<std::string(Request)>& call_;
};

}  // namespace

Millis authenticate(const SaslConfig& sasl, const std::string& client_id, const std::string& server,
                    const std::function<std::string(Request)>& call) {
  const Login login(sasl, client_id, server, call);
  login.agree();
  return sasl.mechanism == SaslMechanism::plain ? login.plain() : login.scram();
}

}  // namespace lifeboat::kafka
