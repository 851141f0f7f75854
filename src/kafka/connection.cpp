#include "kafka/connection.hpp"

#include <algorithm>
#include <charconv>

#include "base/error.hpp"
#include "kafka/authenticate.hpp"

namespace lifeboat::kafka {

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
      sasl_(config.sasl),
      secure_(config.tls.has_value()),
      transport_(host, port, config, cancel, Deadline::after(timeout_)) {
  learn_versions();
  if (sasl_) log_in();
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

void Connection::log_in() {
  session_ends_ = Deadline::never();
  const auto lifetime = authenticate(*sasl_, client_id_, name_,
                                     [this](Request request) { return call(std::move(request)); });
  // The broker hangs up on a session that is over: the next one begins well before. What was sent
  // before may still lie in the queue of a busy broker.
  if (lifetime > Millis(0)) session_ends_ = Deadline::after(lifetime / 2);
}

void Connection::log_in_again_in_time() {
  if (expected_.empty() && session_ends()) log_in();
}

void Connection::send(Request request) {
  check_version(request);
  log_in_again_in_time();
  const auto id = next_correlation_id_++;
  const auto pieces = request.pieces(id);
  const auto deadline = Deadline::after(timeout_);
  expected_.push_back(id);
  for (const auto& piece : pieces) {
    transport_.write(piece, deadline, &piece != &pieces.back());
  }
}

// A TLS listener answers a plain request with an alert, 0x15 0x03: as a length, 337 MiB and more.
void Connection::refuse_size(std::int32_t size) const {
  if (!secure_ && (size >> 16) == 0x1503) {
    throw Error(Code::config, name_, "the listener speaks TLS and was asked without",
                "give kafka.tls (ca: the authority that signed the broker's certificate)");
  }
  throw Error(Code::corrupt, name_, fmt::format("an answer of {} bytes cannot be", size));
}

// Brokers hang up without a word on who speaks another protocol than the listener.
std::string Connection::why_hung_up() const {
  if (answers_ == 0 && !secure_)
    return "if this listener speaks TLS (SSL, SASL_SSL), give kafka.tls";
  if (answers_ == 1 && !sasl_)
    return "if this listener asks for a password (SASL), give kafka.sasl";
  return "see the broker's own log";
}

std::string_view Connection::receive(std::string& into, Deadline deadline, std::size_t most,
                                     ChecksumTrail* trail) {
  char head[4];
  try {
    transport_.read(head, sizeof head, deadline);
  } catch (Error& error) {
    if (answers_ > 1 || error.code() != Code::unavailable || !error.hint().empty()) throw;
    throw Error(error.code(), error.subject(), error.message(), why_hung_up());
  }
  const auto size = load_be<std::int32_t>(head);
  if (size < 4 || static_cast<std::size_t>(size) > most) refuse_size(size);
  const auto length = static_cast<std::size_t>(size);
  if (into.size() < length) into.resize(length);
  if (trail != nullptr) trail->restart();
  for (std::size_t have = 0; have < length;) {
    const auto got = transport_.read_piece(into.data() + have, length - have, deadline);
    if (trail != nullptr) trail->add({into.data() + have, got});
    have += got;
  }
  if (expected_.empty() || load_be<std::int32_t>(into.data()) != expected_.front()) {
    throw Error(Code::corrupt, name_, "an answer belongs to another request");
  }
  expected_.pop_front();
  ++answers_;
  return {into.data(), length};
}

std::string Connection::call(Request request) {
  std::string answer;
  send(std::move(request));
  answer.resize(receive(answer, Deadline::after(timeout_)).size());
  return answer;
}

}  // namespace lifeboat::kafka
