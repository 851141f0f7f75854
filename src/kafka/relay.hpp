#pragma once

#include <list>
#include <map>
#include <mutex>
#include <string>
#include <thread>

#include "base/cancel.hpp"
#include "base/file.hpp"
#include "kafka/types.hpp"

namespace lifeboat::kafka {

// Lets librdkafka speak through our own connections: what it takes for a socket to a broker is one
// end of a pair, and a thread carries the bytes between the other end and a Connection that has
// shaken hands and logged in. For SCRAM, which Debian's librdkafka 2.0.2 gets wrong
// (docs/facts-kafka.md). Part of the room's inside. Thread-safe; it must outlive the client.
class Relay {
 public:
  explicit Relay(Config config);
  ~Relay();  // the connections end

  // For rd_kafka_conf_set_socket_cb: an end for librdkafka; -1 when there is none.
  int make_socket();
  // For rd_kafka_conf_set_connect_cb: `broker` is librdkafka's name of it, "host:port/id". Returns
  // at once; when the broker cannot be reached or does not let in, the end is closed. 0, or an
  // errno.
  int connect(int socket, const std::string& broker);

 private:
  struct Carrier {
    std::thread thread;
    bool ended = false;
  };
  void carry(Fd end, const std::string& host, int port);
  void join_ended();

  const Config config_;
  Cancel stop_;
  std::mutex mutex_;
  std::map<int, Fd> ends_;  // librdkafka's end -> ours, until connect()
  std::list<Carrier> carriers_;
};

}  // namespace lifeboat::kafka
