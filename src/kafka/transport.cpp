#include "kafka/transport.hpp"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include "base/error.hpp"
#include "kafka/tls.hpp"

namespace lifeboat::kafka {

namespace {

constexpr Millis kCancelCheck{50};
constexpr std::size_t kPiece = 256 * 1024;

struct FreeAddresses {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};
using Addresses = std::unique_ptr<addrinfo, FreeAddresses>;

Addresses resolve(const std::string& host, int port, const std::string& name) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  const int error = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list);
  if (error != 0) {
    throw Error(Code::unavailable, name, std::string("no such host: ") + gai_strerror(error));
  }
  return Addresses(list);
}

[[noreturn]] void unavailable(const std::string& name, const std::string& what, int error) {
  throw Error(Code::unavailable, name, what + ": " + std::strerror(error));
}

bool is_address(const std::string& host) {
  const std::unique_ptr<ASN1_OCTET_STRING, decltype(&ASN1_OCTET_STRING_free)> address(
      a2i_IPADDRESS(host.c_str()), &ASN1_OCTET_STRING_free);
  return address != nullptr;
}

}  // namespace

void Transport::FreeSsl::operator()(ssl_st* ssl) const {
  SSL_free(ssl);
}

Transport::Transport(const std::string& host, int port, const Config& config, const Cancel* cancel,
                     Deadline deadline)
    : name_(host + ":" + std::to_string(port)), cancel_(cancel) {
  connect(host, port, deadline);
  if (config.tls) shake_hands(host, *config.tls, deadline);
}

Transport::~Transport() = default;

void Transport::connect(const std::string& host, int port, Deadline deadline) {
  const auto addresses = resolve(host, port, name_);
  int error = 0;
  for (const auto* a = addresses.get(); a != nullptr; a = a->ai_next) {
    socket_ = Fd(socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket_) unavailable(name_, "no socket", errno);
    error = ::connect(socket_.get(), a->ai_addr, a->ai_addrlen) == 0 ? 0 : errno;
    if (error == EINPROGRESS) {
      wait(POLLOUT, deadline);
      socklen_t size = sizeof error;
      getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    }
    if (error != 0) continue;
    const int on = 1;
    setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return;
  }
  unavailable(name_, "cannot connect", error);
}

void Transport::shake_hands(const std::string& host, const TlsConfig& tls, Deadline deadline) {
  const auto context = make_tls_context(tls);
  ERR_clear_error();
  ssl_.reset(SSL_new(context.get()));
  if (!ssl_) throw Error(Code::failed, name_, "OpenSSL cannot make a connection");
  auto* bio = make_socket_bio(socket_.get());
  SSL_set_bio(ssl_.get(), bio, bio);
  const bool address = is_address(host);
  bool set = address || SSL_set_tlsext_host_name(ssl_.get(), host.c_str()) == 1;
  if (tls.verify_hostname) {
    auto* wanted = SSL_get0_param(ssl_.get());
    set = set && (address ? X509_VERIFY_PARAM_set1_ip_asc(wanted, host.c_str()) == 1
                          : SSL_set1_host(ssl_.get(), host.c_str()) == 1);
  }
  if (!set) throw Error(Code::config, name_, "TLS cannot ask for this name of a host");
  for (;;) {
    ERR_clear_error();
    const int result = SSL_connect(ssl_.get());
    if (result == 1) break;
    wait_for_tls(result, deadline);
  }
  shaken_ = true;
}

void Transport::wait(short events, Deadline deadline) {
  for (;;) {
    if (cancel_ != nullptr) cancel_->check();
    const auto slice = std::min(deadline.left(), kCancelCheck);
    pollfd p{socket_.get(), events, 0};
    const int ready = poll(&p, 1, static_cast<int>(std::max<std::int64_t>(slice.count(), 1)));
    if (ready > 0) return;
    if (ready < 0 && errno != EINTR) unavailable(name_, "poll", errno);
    if (deadline.passed()) throw Error(Code::timeout, name_, "does not answer in time");
  }
}

// Either call may want to read or to write, whatever the caller does: a TLS record is whole or
// nothing, and TLS 1.3 changes its keys in between.
void Transport::wait_for_tls(int result, Deadline deadline) {
  const int reason = SSL_get_error(ssl_.get(), result);
  if (reason == SSL_ERROR_WANT_READ) return wait(POLLIN, deadline);
  if (reason == SSL_ERROR_WANT_WRITE) return wait(POLLOUT, deadline);
  tls_failed(reason);
}

void Transport::tls_failed(int reason) const {
  const int error = errno;
  const auto verdict = ssl_ ? SSL_get_verify_result(ssl_.get()) : X509_V_OK;
  if (!shaken_ && verdict != X509_V_OK) throw untrusted(name_, verdict);
  const auto code = ERR_peek_error();
  const bool eof = reason == SSL_ERROR_ZERO_RETURN ||
                   (reason == SSL_ERROR_SYSCALL && (error == 0 || error == ECONNRESET)) ||
                   ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
  if (reason == SSL_ERROR_SYSCALL && !eof) unavailable(name_, "the connection broke", error);
  if (!eof) throw tls_error(name_, code);
  if (shaken_) throw Error(Code::unavailable, name_, "the broker closed the connection");
  throw Error(Code::unavailable, name_, "the broker closed the connection when TLS began",
              "if this listener is PLAINTEXT or SASL_PLAINTEXT, leave out kafka.tls; else see the "
              "broker's own log");
}

void Transport::write(std::string_view bytes, Deadline deadline, bool more) {
  while (!bytes.empty()) {
    if (ssl_) {
      // OpenSSL wants the same bytes again after it had to wait; they are.
      ERR_clear_error();
      errno = 0;
      std::size_t written = 0;
      const int result = SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &written);
      if (result != 1) wait_for_tls(result, deadline);
      bytes.remove_prefix(written);
      continue;
    }
    const auto n =
        ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | (more ? MSG_MORE : 0));
    if (n >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(n));
    } else if (errno == EAGAIN) {
      wait(POLLOUT, deadline);
    } else if (errno != EINTR) {
      unavailable(name_, "the connection broke", errno);
    }
  }
}

// Not for each packet of a long answer: a wakeup costs more than the packet.
void Transport::wake_when_there(std::size_t n) {
  const int wanted = static_cast<int>(std::min(n, kPiece));
  if (wanted == low_water_) return;
  low_water_ = wanted;
  setsockopt(socket_.get(), SOL_SOCKET, SO_RCVLOWAT, &wanted, sizeof wanted);
}

std::size_t Transport::read_piece(char* to, std::size_t n, Deadline deadline) {
  const auto most = std::min(n, kPiece);
  for (;;) {
    if (ssl_) {
      ERR_clear_error();
      errno = 0;
      std::size_t got = 0;
      const int result = SSL_read_ex(ssl_.get(), to, most, &got);
      if (result == 1) return got;
      wait_for_tls(result, deadline);
    } else if (const auto received = recv(socket_.get(), to, most, 0); received > 0) {
      return static_cast<std::size_t>(received);
    } else if (received == 0) {
      throw Error(Code::unavailable, name_, "the broker closed the connection");
    } else if (errno == EAGAIN) {
      wake_when_there(n);
      wait(POLLIN, deadline);
    } else if (errno != EINTR) {
      unavailable(name_, "the connection broke", errno);
    }
  }
}

void Transport::read(char* to, std::size_t n, Deadline deadline) {
  while (n > 0) {
    const auto got = read_piece(to, n, deadline);
    to += got;
    n -= got;
  }
}

}  // namespace lifeboat::kafka
