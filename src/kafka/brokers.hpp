#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/cancel.hpp"
#include "base/clock.hpp"
#include "base/error.hpp"
#include "kafka/cluster.hpp"
#include "kafka/connection.hpp"
#include "kafka/protocol.hpp"

namespace lifeboat::kafka {

// Connections to the brokers of a cluster, made when they are needed and kept. Part of the room's
// inside. For one thread at a time. Throws as Cluster does.
class Brokers {
 public:
  // `cancel`, if given, ends every call with Error(cancelled).
  Brokers(Config config, Clock& clock, const Cancel* cancel)
      : config_(std::move(config)), clock_(clock), cancel_(cancel) {}

  const Config& config() const { return config_; }
  const Cancel& cancel() const { return cancel_ != nullptr ? *cancel_ : never_; }

  // Asks one broker; a broken connection that lay idle is opened anew once.
  std::string ask(const BrokerInfo& broker, const Request& request);
  // Asks brokers one after the other until one gives an answer; `from` says which.
  std::string ask_any(const Request& request, std::string& from);
  ClusterInfo metadata();

  // Runs `attempt` until it returns true, up to Config::request_timeout; an Error that time may
  // heal, too, is tried again. `trouble`: what the last attempt saw.
  void until_done(const std::string& what,
                  const std::function<bool(std::string& trouble)>& attempt);

 private:
  const Config config_;
  Clock& clock_;
  const Cancel* cancel_;
  const Cancel never_;
  std::map<std::string, std::unique_ptr<Connection>> connections_;  // by "host:port"
  std::vector<BrokerInfo> known_;
};

}  // namespace lifeboat::kafka
