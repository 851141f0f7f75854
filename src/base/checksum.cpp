#include "base/checksum.hpp"

#include <openssl/evp.h>

#include "base/bytes.hpp"
#include "base/error.hpp"

namespace lifeboat {
std::string to_hex(std::string_view bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (unsigned char c : bytes) {
    out += digits[c >> 4];
    out += digits[c & 15];
  }
  return out;
}

std::string Digest::hex() const {
  return to_hex({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

std::optional<Digest> Digest::parse(std::string_view hex) {
  if (hex.size() != 64) return std::nullopt;
  auto nibble = [](char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
  };
  Digest d;
  for (std::size_t i = 0; i < 32; ++i) {
    int high = nibble(hex[2 * i]), low = nibble(hex[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    d.bytes[i] = static_cast<unsigned char>(high * 16 + low);
  }
  return d;
}

Digest sha256(std::string_view bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.finish();
}

struct Sha256::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~State() { EVP_MD_CTX_free(context); }
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  if (!state_->context || EVP_DigestInit_ex(state_->context, EVP_sha256(), nullptr) != 1) {
    throw Error(Code::failed, "SHA-256", "OpenSSL cannot start a digest");
  }
}
Sha256::~Sha256() = default;

void Sha256::update(std::string_view bytes) {
  if (EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) != 1) {
    throw Error(Code::failed, "SHA-256", "OpenSSL cannot go on with a digest");
  }
}

Digest Sha256::finish() {
  Digest d;
  if (EVP_DigestFinal_ex(state_->context, d.bytes.data(), nullptr) != 1) {
    throw Error(Code::failed, "SHA-256", "OpenSSL cannot finish a digest");
  }
  return d;
}

}  // namespace lifeboat
