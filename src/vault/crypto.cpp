#include "vault/crypto.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <memory>

#include "base/error.hpp"

namespace lifeboat::vault {
namespace {

constexpr std::size_t kMostAtOnce = 1u << 30;  // OpenSSL counts in int

[[noreturn]] void refused(const char* what) {
  throw Error(Code::failed, "encryption", std::string("OpenSSL refused ") + what,
              "see to this machine's OpenSSL");
}

unsigned char* mine(char* bytes) {
  return reinterpret_cast<unsigned char*>(bytes);
}
const unsigned char* mine(const char* bytes) {
  return reinterpret_cast<const unsigned char*>(bytes);
}

using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;

CipherContext make_context() {
  CipherContext context(EVP_CIPHER_CTX_new(), &EVP_CIPHER_CTX_free);
  if (!context) refused("a context of AES-256-GCM");
  return context;
}

// Looked up once: it takes longer than sealing a small object does.
const EVP_CIPHER* cipher() {
  static EVP_CIPHER* const fetched = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
  if (fetched == nullptr) refused("AES-256-GCM");
  return fetched;
}

using Update = int (*)(EVP_CIPHER_CTX*, unsigned char*, int*, const unsigned char*, int);

// False when OpenSSL refuses.
bool run(Update update, EVP_CIPHER_CTX* context, std::string_view in, unsigned char* out) {
  while (!in.empty()) {
    auto some = in.substr(0, kMostAtOnce);
    int written = 0;
    if (update(context, out, &written, mine(some.data()), static_cast<int>(some.size())) != 1) {
      return false;
    }
    if (out != nullptr) out += written;
    in.remove_prefix(some.size());
  }
  return true;
}

}  // namespace

void fill_with_chance(char* bytes, std::size_t size) {
  if (RAND_bytes(mine(bytes), static_cast<int>(size)) != 1) refused("random bytes");
}

Secret random_key() {
  Secret key(kKeySize);
  fill_with_chance(key.data(), key.size());
  return key;
}

Digest hmac_sha256(std::string_view key, std::string_view bytes) {
  Digest out;
  unsigned int size = 0;
  // A key without bytes is one; a null pointer is none.
  const char* key_bytes = key.empty() ? "" : key.data();
  if (HMAC(EVP_sha256(), key_bytes, static_cast<int>(key.size()), mine(bytes.data()), bytes.size(),
           out.bytes.data(), &size) == nullptr) {
    refused("HMAC-SHA256");
  }
  return out;
}

Secret hkdf_sha256(std::string_view key, std::string_view salt, std::string_view info) {
  auto view = [](const Digest& digest) {
    return std::string_view(reinterpret_cast<const char*>(digest.bytes.data()), 32);
  };
  Digest extracted = hmac_sha256(salt, key);
  Digest expanded = hmac_sha256(view(extracted), std::string(info) + '\1');
  Secret out(view(expanded));
  OPENSSL_cleanse(extracted.bytes.data(), extracted.bytes.size());
  OPENSSL_cleanse(expanded.bytes.data(), expanded.bytes.size());
  return out;
}

bool valid(const ScryptCost& cost) {
  return cost.log2_n >= 1 && cost.log2_n <= 21 && cost.r >= 1 && cost.r <= 64 && cost.p >= 1 &&
         cost.p <= 16 && (std::uint64_t{128} << cost.log2_n) * cost.r <= kMostScrypt.value;
}

Secret scrypt(std::string_view passphrase, std::string_view salt, const ScryptCost& cost) {
  if (!valid(cost)) throw Error(Code::failed, "scrypt", "takes no such cost");
  Secret out(kKeySize);
  if (EVP_PBE_scrypt(passphrase.data(), passphrase.size(), mine(salt.data()), salt.size(),
                     1ull << cost.log2_n, cost.r, cost.p, 2 * kMostScrypt.value, mine(out.data()),
                     out.size()) != 1) {
    refused("scrypt (is there memory for it?)");
  }
  return out;
}

void gcm_seal(std::string_view key, const Nonce& nonce, std::string_view aad,
              std::span<const std::string_view> pieces, char* out) {
  auto context = make_context();
  auto* at = mine(out);
  bool good =
      EVP_EncryptInit_ex(context.get(), cipher(), nullptr, mine(key.data()), nonce.data()) == 1 &&
      run(&EVP_EncryptUpdate, context.get(), aad, nullptr);
  for (auto piece : pieces) {
    good = good && run(&EVP_EncryptUpdate, context.get(), piece, at);
    at += piece.size();
  }
  int none = 0;
  good = good && EVP_EncryptFinal_ex(context.get(), at, &none) == 1 &&
         EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_GET_TAG, kTagSize, at) == 1;
  if (!good) refused("to encrypt");
}

bool gcm_open(std::string_view key, const Nonce& nonce, std::string_view aad, char* bytes,
              std::size_t size) {
  if (size < kTagSize) return false;
  auto context = make_context();
  std::string_view sealed(bytes, size - kTagSize);
  auto* tag = mine(bytes) + sealed.size();
  if (EVP_DecryptInit_ex(context.get(), cipher(), nullptr, mine(key.data()), nonce.data()) != 1 ||
      !run(&EVP_DecryptUpdate, context.get(), aad, nullptr) ||
      !run(&EVP_DecryptUpdate, context.get(), sealed, mine(bytes)) ||
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_SET_TAG, kTagSize, tag) != 1) {
    refused("to decrypt");
  }
  int none = 0;
  return EVP_DecryptFinal_ex(context.get(), tag, &none) == 1;
}

bool equal_in_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace lifeboat::vault
