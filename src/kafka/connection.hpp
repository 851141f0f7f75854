#pragma once

#include <deque>
#include <map>
#include <string>

#include "base/cancel.hpp"
#include "base/checksum_trail.hpp"
#include "kafka/cluster.hpp"
#include "kafka/transport.hpp"
#include "kafka/types.hpp"
#include "kafka/wire.hpp"

namespace lifeboat::kafka {

// Requests to and answers from one broker, by TLS and as a SASL user where the Config says so. For
// one thread at a time. After an Error the connection is of no use.
// Throws Error with "host:port" as subject: unavailable, timeout, cancelled, unsupported, corrupt;
// denied (password, certificate) and config (TLS or SASL differ from what the listener speaks).
class Connection {
 public:
  // Connects, asks for the versions that the broker knows and logs in. `cancel` may be null.
  Connection(std::string host, int port, const Config& config, const Cancel* cancel = nullptr);

  // Sends without waiting; answers come in the order of the requests.
  void send(Request request);
  // The answer to the oldest request, from its correlation id on. Refuses one above `most` bytes
  // before it takes memory for it. The answer lies in `into`, which only ever grows: new memory
  // would be cleared first. `trail` begins with the answer's first byte.
  std::string_view receive(std::string& into, Deadline deadline, std::size_t most = 64u << 20,
                           ChecksumTrail* trail = nullptr);
  std::size_t in_flight() const { return expected_.size(); }
  // The SASL session is about to end. The next send() with nothing in flight begins another one;
  // who has requests in flight all the time sends none until they are answered.
  bool session_ends() const { return session_ends_.passed(); }

  // send() and receive() within Config::request_timeout.
  std::string call(Request request);

  const std::string& name() const { return name_; }  // "host:port"

 private:
  void learn_versions();
  void check_version(const Request& request) const;
  void log_in();
  void log_in_again_in_time();
  std::string why_hung_up() const;
  [[noreturn]] void refuse_size(std::int32_t size) const;

  struct Versions {
    std::int16_t min;
    std::int16_t max;
  };
  std::string name_;
  std::string client_id_;
  Millis timeout_;
  std::optional<SaslConfig> sasl_;
  Deadline session_ends_ = Deadline::never();  // KIP-368
  bool secure_;                                // TLS
  std::uint64_t answers_ = 0;
  Transport transport_;
  std::map<std::int16_t, Versions> versions_;
  std::deque<std::int32_t> expected_;
  std::int32_t next_correlation_id_ = 1;
};

// "host:port", "[v6]:port" -> parts; Error(config) when it is not that.
BrokerInfo parse_address(const std::string& address);

}  // namespace lifeboat::kafka
