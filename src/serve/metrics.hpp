#pragma once

#include <functional>
#include <memory>
#include <string>

#include "recovery/archive.hpp"
#include "serve/watch.hpp"
#include "store/metered_store.hpp"

namespace lifeboat::serve {

// Prometheus' text format, version 0.0.4. Pure. `watched`: nothing yet when it is nullopt.
std::string metrics_text(const recovery::ArchiveStatus& status,
                         const std::optional<Watched>& watched, Timestamp now);

// What went through the vault's store, in the same format. Pure.
std::string traffic_text(const store::Traffic& traffic);

// Answers GET /metrics on a thread of its own.
class MetricsServer {
 public:
  // "host:port"; port 0: any that is free. Error(config) when it is not an address, Error(failed)
  // when it cannot be listened on. `text` is called from the server's threads.
  MetricsServer(const std::string& listen, std::function<std::string()> text);
  ~MetricsServer();
  int port() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lifeboat::serve
