#pragma once

#include <sys/types.h>

#include <string>

#include "kafka/types.hpp"
#include "support/stack_fixture.hpp"

namespace lifeboat::kafka::test {

// A second Kafka broker that joins a stack's cluster. Ends with this object and with the program.
class ExtraBroker {
 public:
  ExtraBroker(const lifeboat::test::StackProcess& stack, int id);
  ~ExtraBroker();
  void start();  // returns when the cluster's metadata names it
  void kill();   // SIGKILL
  BrokerId id() const { return BrokerId(id_); }

 private:
  const lifeboat::test::StackProcess& stack_;
  int id_;
  int port_;
  std::string folder_;
  pid_t pid_ = -1;
};

}  // namespace lifeboat::kafka::test
