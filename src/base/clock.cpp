#include "base/clock.hpp"

namespace lifeboat {
namespace {

class RealClock : public Clock {
 public:
  Timestamp now() const override {
    auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
    return Timestamp(std::chrono::duration_cast<Millis>(since_epoch).count());
  }
  std::chrono::steady_clock::time_point steady() const override {
    return std::chrono::steady_clock::now();
  }
};

}  // namespace

Clock& Clock::real() {
  static RealClock clock;
  return clock;
}

}  // namespace lifeboat
