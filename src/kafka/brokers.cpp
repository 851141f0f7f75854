#include "kafka/brokers.hpp"

namespace lifeboat::kafka {

namespace {

constexpr Millis kPause{100};

}  // namespace

std::string Brokers::ask(const BrokerInfo& broker, const Request& request) {
  auto& connection = connections_[broker.host + ":" + std::to_string(broker.port)];
  const bool old = connection != nullptr;
  try {
    if (!old) connection = std::make_unique<Connection>(broker.host, broker.port, config_, cancel_);
    return connection->call(request);
  } catch (Error& error) {
    connection.reset();
    if (!old || error.code() != Code::unavailable) throw;
  }
  return ask(broker, request);
}

std::string Brokers::ask_any(const Request& request, std::string& from) {
  std::vector<BrokerInfo> candidates = known_;
  for (const auto& address : config_.bootstrap) candidates.push_back(parse_address(address));
  std::optional<Error> last;
  for (const auto& broker : candidates) {
    try {
      from = broker.host + ":" + std::to_string(broker.port);
      return ask(broker, request);
    } catch (Error& error) {
      if (error.code() != Code::unavailable && error.code() != Code::timeout) throw;
      last = error;
    }
  }
  if (!last) throw Error(Code::config, "kafka", "no bootstrap broker is named");
  throw std::move(*last);
}

ClusterInfo Brokers::metadata() {
  std::string from;
  const auto answer = ask_any(metadata_request(config_.client_id), from);
  auto info = parse_metadata(answer, from);
  if (!info.brokers.empty()) known_ = info.brokers;
  return info;
}

void Brokers::until_done(const std::string& what,
                         const std::function<bool(std::string& trouble)>& attempt) {
  const auto end = clock_.steady() + config_.request_timeout;
  for (;;) {
    std::optional<Error> error;
    std::string trouble = "the cluster does not settle";
    try {
      if (attempt(trouble)) return;
    } catch (Error& caught) {
      if (caught.code() != Code::unavailable && caught.code() != Code::timeout) throw;
      error = caught;
    }
    if (clock_.steady() >= end) {
      if (error) throw std::move(*error).during(what);
      throw Error(Code::timeout, what, trouble);
    }
    cancel().sleep_for(kPause);
    cancel().check();
  }
}

}  // namespace lifeboat::kafka
