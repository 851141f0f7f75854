#include "kafka/scram.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <charconv>
#include <optional>
#include <vector>

#include "base/error.hpp"

namespace lifeboat::kafka {

namespace {

constexpr int kLeastIterations = 4096;
constexpr int kMostIterations = 1'000'000;  // about a second; Kafka's own limit is 16384
constexpr std::size_t kMostBytes = 4096;
constexpr std::string_view kNoBinding = "n,,";

const EVP_MD* digest(SaslMechanism mechanism) {
  return mechanism == SaslMechanism::scram_sha_256 ? EVP_sha256() : EVP_sha512();
}

const unsigned char* as_bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* as_bytes(std::string& text) {
  return reinterpret_cast<unsigned char*>(text.data());
}

std::string hmac(const EVP_MD* md, std::string_view key, std::string_view data) {
  std::string out(static_cast<std::size_t>(EVP_MD_get_size(md)), '\0');
  unsigned int size = 0;
  if (HMAC(md, key.data(), static_cast<int>(key.size()), as_bytes(data), data.size(), as_bytes(out),
           &size) == nullptr) {
    throw Error(Code::failed, "SCRAM", "OpenSSL cannot compute an HMAC");
  }
  return out;
}

std::string hash(const EVP_MD* md, std::string_view data) {
  std::string out(static_cast<std::size_t>(EVP_MD_get_size(md)), '\0');
  if (EVP_Digest(data.data(), data.size(), as_bytes(out), nullptr, md, nullptr) != 1) {
    throw Error(Code::failed, "SCRAM", "OpenSSL cannot compute a hash");
  }
  return out;
}

std::string salted(const EVP_MD* md, std::string_view password, std::string_view salt, int rounds) {
  std::string out(static_cast<std::size_t>(EVP_MD_get_size(md)), '\0');
  if (PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()), as_bytes(salt),
                        static_cast<int>(salt.size()), rounds, md, static_cast<int>(out.size()),
                        as_bytes(out)) != 1) {
    throw Error(Code::failed, "SCRAM", "OpenSSL cannot derive the key");
  }
  return out;
}

std::string base64(std::string_view bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');
  const int n = EVP_EncodeBlock(as_bytes(text), as_bytes(bytes), static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(n));
  return text;
}

std::optional<std::string> from_base64(std::string_view text) {
  if (text.empty() || text.size() % 4 != 0 || text.size() > kMostBytes) return std::nullopt;
  // OpenSSL reads a '=' anywhere as a zero.
  if (text.substr(0, text.size() - 2).find('=') != std::string_view::npos) return std::nullopt;
  std::string bytes(text.size() / 4 * 3, '\0');
  const int n = EVP_DecodeBlock(as_bytes(bytes), as_bytes(text), static_cast<int>(text.size()));
  if (n < 0) return std::nullopt;
  // EVP_DecodeBlock counts the padding as bytes.
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
  bytes.resize(static_cast<std::size_t>(n) - padding);
  return bytes;
}

std::string escaped_name(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (c == '=') {
      out += "=3D";
    } else if (c == ',') {
      out += "=2C";
    } else {
      out += c;
    }
  }
  return out;
}

// "r=…" -> "…"; takes it and the comma behind it off `message`.
std::optional<std::string_view> take_field(std::string_view& message, char name) {
  if (message.size() < 2 || message[0] != name || message[1] != '=') return std::nullopt;
  const auto end = message.find(',');
  const auto value = message.substr(2, end == std::string_view::npos ? end : end - 2);
  message.remove_prefix(end == std::string_view::npos ? message.size() : end + 1);
  return value;
}

}  // namespace

ScramClient::ScramClient(const SaslConfig& config, std::string nonce, std::string server)
    : mechanism_(config.mechanism),
      password_(config.password),
      nonce_(std::move(nonce)),
      server_(std::move(server)),
      first_bare_("n=" + escaped_name(config.username) + ",r=" + nonce_) {}

void ScramClient::refuse(const std::string& why) const {
  throw Error(Code::denied, server_, "its SCRAM answer is not acceptable: " + why,
              "this may not be the broker that it claims to be: use kafka.tls");
}

std::string ScramClient::first() const {
  return std::string(kNoBinding) + first_bare_;
}

std::string ScramClient::final(std::string_view server_first) {
  if (server_first.size() > kMostBytes) refuse("it is too long");
  auto left = server_first;
  const auto nonce = take_field(left, 'r');
  const auto salt_text = take_field(left, 's');
  const auto count = take_field(left, 'i');
  if (!nonce || !salt_text || !count) refuse("a field is missing, or an extension is asked for");
  if (!nonce->starts_with(nonce_) || nonce->size() == nonce_.size()) {
    refuse("the nonce is not for this conversation");
  }
  const auto salt = from_base64(*salt_text);
  if (!salt || salt->empty()) refuse("the salt is not base64");
  int rounds = 0;
  const auto* end = count->data() + count->size();
  const auto parsed = std::from_chars(count->data(), end, rounds);
  if (parsed.ec != std::errc() || parsed.ptr != end || rounds < kLeastIterations ||
      rounds > kMostIterations) {
    refuse(fmt::format("iterations must be {} to {}", kLeastIterations, kMostIterations));
  }

  const auto* md = digest(mechanism_);
  const auto without_proof = "c=" + base64(kNoBinding) + ",r=" + std::string(*nonce);
  const auto message = first_bare_ + "," + std::string(server_first) + "," + without_proof;
  const auto key = salted(md, password_, *salt, rounds);
  auto proof = hmac(md, key, "Client Key");
  const auto signature = hmac(md, hash(md, proof), message);
  for (std::size_t i = 0; i < proof.size(); ++i) {
    proof[i] = static_cast<char>(proof[i] ^ signature[i]);
  }
  expected_signature_ = hmac(md, hmac(md, key, "Server Key"), message);
  return without_proof + ",p=" + base64(proof);
}

void ScramClient::check(std::string_view server_final) const {
  if (server_final.size() > kMostBytes) refuse("it is too long");
  auto left = server_final;
  if (const auto error = take_field(left, 'e')) refuse("it says " + std::string(*error));
  const auto field = take_field(left, 'v');
  const auto signature = field ? from_base64(*field) : std::nullopt;
  if (expected_signature_.empty() || !signature ||
      signature->size() != expected_signature_.size() ||
      CRYPTO_memcmp(signature->data(), expected_signature_.data(), signature->size()) != 0) {
    refuse("it does not prove that it knows the password");
  }
}

}  // namespace lifeboat::kafka
