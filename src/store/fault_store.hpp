#pragma once

#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "base/random.hpp"
#include "store/around_store.hpp"
#include "store/pause.hpp"

namespace lifeboat::store {

// What an object store does on a bad day. The last four are not said by an Error.
enum class Fault {
  none,
  timeout,               // nothing happened
  timeout_after,         // the call took place, its answer was lost
  conflict,              // 409: another write is under way; nothing happened
  internal_error,        // 500, and nothing happened
  internal_error_after,  // 500, but the call took place
  busy,                  // 503: nothing happened
  partial_read,          // the connection broke within the body
  slow,                  // the answer drips for a minute, and is right
  own_write,             // a conditional write took place and is told `exists` or `changed`
  truncated_body,        // a read gives the beginning only, as if that were all
  missing_in_listing,    // one object of a listing is not told; the next listing tells it
};
constexpr int kFaults = 12;

// For tests: a store with bad days. Which call has which fault follows from the seed and the order
// of the calls, or is planned one by one. Thread-safe.
class FaultStore : public AroundStore {
 public:
  struct Weather {
    std::vector<Fault> faults;  // that may come; a fault that a call cannot have is none
    int one_in = 3;             // calls
    int most_in_a_row = 3;      // faults
  };
  FaultStore(ObjectStore& inner, std::uint64_t seed, Weather weather, Pause pause = Pause::real())
      : AroundStore(inner), weather_(std::move(weather)), pause_(std::move(pause)), random_(seed) {}

  // The next calls have these; after them the weather goes on.
  void plan(std::deque<Fault> faults);
  // From now on each call for this object has it, whatever is planned.
  void spoil(const std::string& name, Fault fault);
  std::uint64_t faults() const;  // so far

 private:
  void around(Call& call, const Answer& answer, const std::function<void()>& pass_on) override;
  bool collects_listings() const override { return true; }
  Fault next(const Call& call);
  void after(Fault fault, const Call& call, const Answer& answer);
  void leave_out(std::vector<ObjectInfo>& listing);  // under mutex

  Weather weather_;
  Pause pause_;
  mutable std::mutex mutex_;  // of what follows
  Random random_;
  std::deque<Fault> planned_;
  std::map<std::string, Fault> spoiled_;
  std::string left_out_;  // of the last listing that lacked one
  int in_a_row_ = 0;
  std::uint64_t faults_ = 0;
};

}  // namespace lifeboat::store
