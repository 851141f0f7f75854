#pragma once

#include <functional>
#include <string>
#include <thread>

#include "base/cancel.hpp"
#include "recovery/config.hpp"

namespace lifeboat::recovery {

// Signs of life of what is under way in the vault, on a thread of their own: once a minute, or four
// times in a grace period, from now until the end of its life.
class Heartbeat {
 public:
  // `beat` gives one; false: no more are asked for. What it throws is told of, and it is called
  // again when the next one is due. It must not use what ends before the Heartbeat.
  Heartbeat(const Config& config, std::string whose, std::function<bool()> beat);
  ~Heartbeat();
  Heartbeat(const Heartbeat&) = delete;
  Heartbeat& operator=(const Heartbeat&) = delete;

 private:
  void run();

  std::string whose_;
  std::function<bool()> beat_;
  Millis every_;
  Cancel stop_;
  std::thread thread_;
};

}  // namespace lifeboat::recovery
