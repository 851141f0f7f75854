#include "kafka/connection.hpp"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <memory>

#include "base/error.hpp"

namespace lifeboat::kafka {

namespace {

constexpr Millis kCancelCheck{50};

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

}  // namespace

BrokerInfo parse_address(const std::string& address) {
  BrokerInfo broker{BrokerId(-1), "", 0};
  const auto colon = address.rfind(':');
  const auto port = colon == std::string::npos ? std::string() : address.substr(colon + 1);
  const auto end = port.data() + port.size();
  const auto parsed = std::from_chars(port.data(), end, broker.port);
  broker.host = address.substr(0, std::min(colon, address.size()));
  if (broker.host.size() > 2 && broker.host.front() == '[' && broker.host.back() == ']') {
    broker.host = broker.host.substr(1, broker.host.size() - 2);
  }
  if (parsed.ec != std::errc() || parsed.ptr != end || broker.port < 1 || broker.port > 65535 ||
      broker.host.empty()) {
    throw Error(Code::config, address, "is not the address of a broker", "write host:port");
  }
  return broker;
}

Connection::Connection(std::string host, int port, const Config& config, const Cancel* cancel)
    : name_(host + ":" + std::to_string(port)),
      client_id_(config.client_id),
      timeout_(config.request_timeout),
      cancel_(cancel) {
  connect(host, port, Deadline::after(timeout_));
  learn_versions();
}

void Connection::connect(const std::string& host, int port, Deadline deadline) {
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

void Connection::learn_versions() {
  const auto bytes = call(Request(Api::api_versions, 0, Header::classic, client_id_));
  Answer answer(bytes, Header::classic, name_ + ", ApiVersions");
  if (const auto error = answer.be<std::int16_t>(); error != 0) {
    throw Error(Code::unsupported, name_, "refuses ApiVersions: " + protocol_error_name(error));
  }
  for (auto n = answer.size(6); n > 0; --n) {
    const auto key = answer.be<std::int16_t>();
    const auto min = answer.be<std::int16_t>();
    versions_[key] = {min, answer.be<std::int16_t>()};
  }
}

void Connection::check_version(const Request& request) const {
  if (request.api() == Api::api_versions) return;
  const auto key = static_cast<std::int16_t>(request.api());
  const auto known = versions_.find(key);
  if (known != versions_.end() && known->second.min <= request.version() &&
      request.version() <= known->second.max) {
    return;
  }
  throw Error(Code::unsupported, name_,
              fmt::format("the broker does not know API {} in version {}", key, request.version()),
              "Lifeboat needs brokers of Kafka 3.1 or newer");
}

void Connection::wait(short events, Deadline deadline) {
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

void Connection::send(Request request) {
  check_version(request);
  const auto id = next_correlation_id_++;
  const auto pieces = request.pieces(id);
  const auto deadline = Deadline::after(timeout_);
  expected_.push_back(id);
  for (const auto& piece : pieces) send_all(piece, &piece != &pieces.back(), deadline);
}

void Connection::send_all(std::string_view left, bool more, Deadline deadline) {
  while (!left.empty()) {
    const int flags = MSG_NOSIGNAL | (more ? MSG_MORE : 0);
    const auto n = ::send(socket_.get(), left.data(), left.size(), flags);
    if (n >= 0) {
      left.remove_prefix(static_cast<std::size_t>(n));
    } else if (errno == EAGAIN) {
      wait(POLLOUT, deadline);
    } else if (errno != EINTR) {
      unavailable(name_, "the connection broke", errno);
    }
  }
}

void Connection::read_exactly(char* to, std::size_t n, Deadline deadline) {
  while (n > 0) {
    const auto got = recv(socket_.get(), to, n, 0);
    if (got > 0) {
      to += got;
      n -= static_cast<std::size_t>(got);
    } else if (got == 0) {
      throw Error(Code::unavailable, name_, "the broker closed the connection");
    } else if (errno == EAGAIN) {
      wait(POLLIN, deadline);
    } else if (errno != EINTR) {
      unavailable(name_, "the connection broke", errno);
    }
  }
}

void Connection::receive(std::string& into, Deadline deadline, std::size_t most) {
  char head[4];
  read_exactly(head, sizeof head, deadline);
  const auto size = load_be<std::int32_t>(head);
  if (size < 4 || static_cast<std::size_t>(size) > most) {
    throw Error(Code::corrupt, name_, fmt::format("an answer of {} bytes cannot be", size));
  }
  into.resize(static_cast<std::size_t>(size));
  read_exactly(into.data(), into.size(), deadline);
  if (expected_.empty() || load_be<std::int32_t>(into.data()) != expected_.front()) {
    throw Error(Code::corrupt, name_, "an answer belongs to another request");
  }
  expected_.pop_front();
}

std::string Connection::call(Request request) {
  std::string answer;
  send(std::move(request));
  receive(answer, Deadline::after(timeout_));
  return answer;
}

}  // namespace lifeboat::kafka
