#pragma once

#include <deque>
#include <map>
#include <string>

#include "base/cancel.hpp"
#include "base/file.hpp"
#include "kafka/cluster.hpp"
#include "kafka/types.hpp"
#include "kafka/wire.hpp"

namespace lifeboat::kafka {

// One connection to one broker. The only place that knows sockets; TLS and SASL will come between
// connect() and the bytes. For one thread at a time. After an Error the connection is of no use.
// Throws Error: unavailable (subject: host:port), timeout, cancelled, unsupported, corrupt.
class Connection {
 public:
  // Connects and asks for the versions that the broker knows. `cancel` may be null.
  Connection(std::string host, int port, const Config& config, const Cancel* cancel = nullptr);

  // Sends without waiting; answers come in the order of the requests.
  void send(Request request);
  // The answer to the oldest request, from its correlation id on. Refuses one above `most` bytes
  // before it takes memory for it. `into` keeps its capacity.
  void receive(std::string& into, Deadline deadline, std::size_t most = 64u << 20);
  std::size_t in_flight() const { return expected_.size(); }

  // send() and receive() within Config::request_timeout.
  std::string call(Request request);

  const std::string& name() const { return name_; }  // "host:port"

 private:
  void connect(const std::string& host, int port, Deadline deadline);
  void learn_versions();
  void check_version(const Request& request) const;
  void wait(short events, Deadline deadline);
  void send_all(std::string_view bytes, bool more, Deadline deadline);
  void read_exactly(char* to, std::size_t n, Deadline deadline);

  struct Versions {
    std::int16_t min;
    std::int16_t max;
  };
  std::string name_;
  std::string client_id_;
  Millis timeout_;
  const Cancel* cancel_;
  Fd socket_;
  std::map<std::int16_t, Versions> versions_;
  std::deque<std::int32_t> expected_;
  std::int32_t next_correlation_id_ = 1;
};

// "host:port", "[v6]:port" -> parts; Error(config) when it is not that.
BrokerInfo parse_address(const std::string& address);

}  // namespace lifeboat::kafka
