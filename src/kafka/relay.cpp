#include "kafka/relay.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "base/error.hpp"
#include "base/log.hpp"
#include "kafka/connection.hpp"

namespace lifeboat::kafka {

Relay::Relay(Config config) : config_(std::move(config)) {}

Relay::~Relay() {
  stop_.request();
  for (auto& carrier : carriers_) carrier.thread.join();
}

int Relay::make_socket() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) return -1;
  std::lock_guard lock(mutex_);
  ends_.insert_or_assign(ends[0], Fd(ends[1]));
  return ends[0];
}

// "sasl_ssl://host:port/id" and the like -> host and port.
static BrokerInfo address_of(std::string broker) {
  if (const auto scheme = broker.find("://"); scheme != std::string::npos) {
    broker.erase(0, scheme + 3);
  }
  return parse_address(broker.substr(0, broker.find('/')));
}

int Relay::connect(int socket, const std::string& broker) {
  try {
    const auto address = address_of(broker);
    std::lock_guard lock(mutex_);
    join_ended();
    auto end = ends_.extract(socket);
    if (end.empty()) return EBADF;
    auto& carrier = carriers_.emplace_back();
    carrier.thread = std::thread([this, &carrier, address, fd = end.mapped().release()] {
      carry(Fd(fd), address.host, address.port);
      std::lock_guard done(mutex_);
      carrier.ended = true;
    });
    return 0;
  } catch (const std::exception& error) {  // nothing may be thrown through librdkafka
    spdlog::warn("kafka: relay to {}: {}", broker, error.what());
    return EHOSTUNREACH;
  }
}

// With the mutex held. An ended carrier's thread needs it no more.
void Relay::join_ended() {
  for (auto it = carriers_.begin(); it != carriers_.end();) {
    if (!it->ended) {
      ++it;
      continue;
    }
    it->thread.join();
    it = carriers_.erase(it);
  }
}

void Relay::carry(Fd end, const std::string& host, int port) {
  try {
    Connection connection(host, port, config_, &stop_);
    connection.carry(end.get());
  } catch (const Error& error) {
    if (error.code() == Code::cancelled) return;
    spdlog::debug("kafka: relay to {}:{}: {}", host, port, error.what());
  }
}

}  // namespace lifeboat::kafka
