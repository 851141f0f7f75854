#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/cancel.hpp"
#include "base/file.hpp"
#include "kafka/types.hpp"

struct ssl_st;  // OpenSSL's SSL

namespace lifeboat::kafka {

// A stream of bytes to one broker: a socket, or TLS over it. The only place that knows sockets and
// OpenSSL's connections. For one thread at a time; after an Error it is of no use.
// Throws Error with the name "host:port" as subject: unavailable, timeout, cancelled; denied when
// one side does not trust the other's certificate; config when own files cannot be used.
class Transport {
 public:
  // Connects and, with config.tls, shakes hands: the certificate must be valid, signed by one of
  // the trusted authorities and (verify_hostname) made out to `host`. `cancel` may be null.
  Transport(const std::string& host, int port, const Config& config, const Cancel* cancel,
            Deadline deadline);
  ~Transport();

  // `more` follows at once: small pieces may wait for it.
  void write(std::string_view bytes, Deadline deadline, bool more = false);
  void read(char* to, std::size_t n, Deadline deadline);
  // The first of `n` bytes, one at least, no more than fit into a processor's cache; how many.
  std::size_t read_piece(char* to, std::size_t n, Deadline deadline);

 private:
  void connect(const std::string& host, int port, Deadline deadline);
  void shake_hands(const std::string& host, const TlsConfig& tls, Deadline deadline);
  void wait(short events, Deadline deadline);
  void wake_when_there(std::size_t n);
  void wait_for_tls(int result, Deadline deadline);
  [[noreturn]] void tls_failed(int reason) const;

  struct FreeSsl {
    void operator()(ssl_st* ssl) const;
  };
  std::string name_;
  const Cancel* cancel_;
  Fd socket_;
  std::unique_ptr<ssl_st, FreeSsl> ssl_;
  bool shaken_ = false;
  int low_water_ = 1;  // of the socket, in bytes
};

}  // namespace lifeboat::kafka
