#include "kafka/tls.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>

namespace lifeboat::kafka {

namespace {

std::string reason_of(unsigned long code) {
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  return reason == nullptr ? "unknown error" : reason;
}

[[noreturn]] void unusable(const std::string& file, const std::string& what,
                           const std::string& hint) {
  // The first error is the cause, later ones are what it led to.
  throw Error(Code::config, file, what + ": " + reason_of(ERR_peek_error()), hint);
}

// Without this OpenSSL would ask on the terminal.
int give_password(char* buffer, int size, int, void* password) {
  const auto& text = *static_cast<const std::string*>(password);
  if (size < 0 || text.size() > static_cast<std::size_t>(size)) return -1;
  std::memcpy(buffer, text.data(), text.size());
  return static_cast<int>(text.size());
}

void use_own_certificate(SSL_CTX* context, const TlsConfig& config) {
  if (SSL_CTX_use_certificate_chain_file(context, config.cert.c_str()) != 1) {
    unusable(config.cert, "cannot be used as kafka.tls.cert", "give a certificate in PEM");
  }
  auto password = config.key_password;
  SSL_CTX_set_default_passwd_cb(context, give_password);
  SSL_CTX_set_default_passwd_cb_userdata(context, &password);
  const int used = SSL_CTX_use_PrivateKey_file(context, config.key.c_str(), SSL_FILETYPE_PEM);
  SSL_CTX_set_default_passwd_cb_userdata(context, nullptr);
  SSL_CTX_set_default_passwd_cb(context, nullptr);
  if (used != 1) {
    unusable(config.key, "cannot be used as kafka.tls.key",
             "give the certificate's private key in PEM; kafka.tls.key_password_file names the "
             "file with its password, if it has one");
  }
}

int socket_of(BIO* bio) {
  return static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(bio)));
}

// What a call of the socket gave, as OpenSSL wants to hear it: 1, or not and whether to try again.
int told(BIO* bio, ssize_t n, std::size_t* done) {
  BIO_clear_retry_flags(bio);
  if (n > 0) {
    *done = static_cast<std::size_t>(n);
    return 1;
  }
  if (n == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
  return 0;
}

int bio_write(BIO* bio, const char* data, std::size_t n, std::size_t* done) {
  const auto sent = ::send(socket_of(bio), data, n, MSG_NOSIGNAL);
  const int result = told(bio, sent, done);
  if (sent < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_write(bio);
  return result;
}

int bio_read(BIO* bio, char* to, std::size_t n, std::size_t* done) {
  const auto got = ::recv(socket_of(bio), to, n, 0);
  const int result = told(bio, got, done);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_read(bio);
  return result;
}

long bio_control(BIO* bio, int command, long, void*) {
  if (command == BIO_CTRL_EOF) return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0 ? 1 : 0;
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

struct FreeMethod {
  void operator()(BIO_METHOD* method) const { BIO_meth_free(method); }
};
using Method = std::unique_ptr<BIO_METHOD, FreeMethod>;

Method make_method() {
  Method method(BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket"));
  if (!method || BIO_meth_set_write_ex(method.get(), bio_write) != 1 ||
      BIO_meth_set_read_ex(method.get(), bio_read) != 1 ||
      BIO_meth_set_ctrl(method.get(), bio_control) != 1) {
    throw Error(Code::failed, "TLS", "OpenSSL cannot make a BIO");
  }
  return method;
}

}  // namespace

bio_st* make_socket_bio(int socket) {
  static const Method method = make_method();
  BIO* bio = BIO_new(method.get());
  if (bio == nullptr) throw Error(Code::failed, "TLS", "OpenSSL cannot make a BIO");
  BIO_set_data(bio, reinterpret_cast<void*>(static_cast<std::intptr_t>(socket)));
  BIO_set_init(bio, 1);
  return bio;
}

void FreeTlsContext::operator()(ssl_ctx_st* context) const {
  SSL_CTX_free(context);
}

TlsContext make_tls_context(const TlsConfig& config) {
  ERR_clear_error();
  TlsContext context(SSL_CTX_new(TLS_client_method()));
  if (!context || SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION) != 1) {
    throw Error(Code::failed, "TLS", "OpenSSL: " + reason_of(ERR_peek_error()));
  }
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                      SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  if (config.ca.empty()) {
    SSL_CTX_set_default_verify_paths(context.get());
  } else if (SSL_CTX_load_verify_locations(context.get(), config.ca.c_str(), nullptr) != 1) {
    unusable(config.ca, "cannot be used as kafka.tls.ca",
             "give the certificates of the authorities in PEM");
  }
  if (!config.cert.empty()) use_own_certificate(context.get(), config);
  return context;
}

Error untrusted(const std::string& broker, long verdict) {
  const std::string what = "its certificate is not trusted: ";
  const std::string why = X509_verify_cert_error_string(verdict);
  switch (verdict) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return Error(Code::denied, broker, what + "it is made out to another host (" + why + ")",
                   "use the name that stands in the certificate (also as the broker's "
                   "advertised.listeners), or set kafka.tls.verify_hostname: false");
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return Error(Code::denied, broker, what + why,
                   "renew the broker's certificate, or correct this machine's clock");
    default:
      return Error(Code::denied, broker, what + why,
                   "kafka.tls.ca must name the authority that signed the broker's certificate");
  }
}

Error tls_error(const std::string& broker, unsigned long code) {
  const auto reason = ERR_GET_REASON(code);
  // Alerts of the other side: the protocol's number of the alert, and OpenSSL's base.
  const int alert = reason - SSL_AD_REASON_OFFSET;
  constexpr int about_our_certificate[] = {40, 42, 43, 44, 45, 46, 48, 49, 116};
  const bool ours = std::find(std::begin(about_our_certificate), std::end(about_our_certificate),
                              alert) != std::end(about_our_certificate);
  if (ours) {
    return Error(Code::denied, broker, "the broker refuses TLS: " + reason_of(code),
                 "it may ask for a certificate: kafka.tls.cert and kafka.tls.key name "
                 "Lifeboat's, signed by an authority that the broker trusts");
  }
  if (reason == SSL_R_WRONG_VERSION_NUMBER) {
    return Error(Code::config, broker, "does not speak TLS: " + reason_of(code),
                 "if this listener is PLAINTEXT or SASL_PLAINTEXT, leave out kafka.tls");
  }
  return Error(Code::unavailable, broker, "TLS: " + reason_of(code));
}

}  // namespace lifeboat::kafka
