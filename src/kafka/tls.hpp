#pragma once

#include <memory>
#include <string>

#include "base/error.hpp"
#include "kafka/types.hpp"

struct ssl_ctx_st;  // OpenSSL's SSL_CTX
struct bio_st;      // OpenSSL's BIO

namespace lifeboat::kafka {

struct FreeTlsContext {
  void operator()(ssl_ctx_st* context) const;
};
using TlsContext = std::unique_ptr<ssl_ctx_st, FreeTlsContext>;

// TLS 1.2 or newer, no renegotiation, the broker's certificate is always verified. Reads the files
// that `config` names; Error(config) with the file as subject when one cannot be used.
TlsContext make_tls_context(const TlsConfig& config);

// Reads and writes a socket that stays the caller's. OpenSSL's own would raise SIGPIPE.
bio_st* make_socket_bio(int socket);

// What OpenSSL's verdict on a broker's certificate means (X509_V_ERR_…): Error(denied).
Error untrusted(const std::string& broker, long verdict);
// What an error of OpenSSL's queue means.
Error tls_error(const std::string& broker, unsigned long code);

}  // namespace lifeboat::kafka
