#include "store/fault_store.hpp"

#include <utility>

#include "base/error.hpp"

namespace lifeboat::store {
namespace {

constexpr Millis kDrip{60'000};

bool fits(Fault fault, const Call& call) {
  const bool reads = call.op == Op::get || call.op == Op::get_range;
  const bool conditional = call.op == Op::put_if_absent || call.op == Op::put_if_unchanged;
  switch (fault) {
    case Fault::conflict:
      return call.writes();
    case Fault::partial_read:
    case Fault::truncated_body:
      return reads;
    case Fault::own_write:
      return conditional;
    case Fault::missing_in_listing:
      return call.op == Op::list;
    default:
      return true;
  }
}

[[noreturn]] void fail(Code code, const Call& call, const char* what) {
  throw Error(code, "object " + call.name, std::string(to_string(call.op)) + ": " + what,
              "this is a test");
}

// What keeps a call from taking place.
void before(Fault fault, const Call& call) {
  if (fault == Fault::timeout) fail(Code::timeout, call, "no answer in time");
  if (fault == Fault::conflict) fail(Code::unavailable, call, "409 ConditionalRequestConflict");
  if (fault == Fault::internal_error) fail(Code::unavailable, call, "500 InternalError");
  if (fault == Fault::busy) fail(Code::unavailable, call, "503 SlowDown");
  if (fault == Fault::partial_read) fail(Code::unavailable, call, "the connection was closed");
}

}  // namespace

void FaultStore::plan(std::deque<Fault> faults) {
  std::lock_guard lock(mutex_);
  planned_ = std::move(faults);
}

void FaultStore::spoil(const std::string& name, Fault fault) {
  std::lock_guard lock(mutex_);
  spoiled_[name] = fault;
}

std::uint64_t FaultStore::faults() const {
  std::lock_guard lock(mutex_);
  return faults_;
}

Fault FaultStore::next(const Call& call) {
  std::lock_guard lock(mutex_);
  auto fault = Fault::none;
  if (auto spoiled = spoiled_.find(call.name); spoiled != spoiled_.end()) {
    fault = spoiled->second;
  } else if (!planned_.empty()) {
    fault = planned_.front();
    planned_.pop_front();
  } else if (!weather_.faults.empty() && in_a_row_ < weather_.most_in_a_row &&
             random_.below(static_cast<std::uint64_t>(weather_.one_in)) == 0) {
    fault = weather_.faults[random_.below(weather_.faults.size())];
  }
  if (!fits(fault, call)) fault = Fault::none;
  in_a_row_ = fault == Fault::none ? 0 : in_a_row_ + 1;
  faults_ += fault == Fault::none ? 0 : 1;
  return fault;
}

void FaultStore::around(Call& call, const Answer& answer, const std::function<void()>& pass_on) {
  const auto fault = next(call);
  before(fault, call);
  if (fault == Fault::slow) pause_.sleep(kDrip);
  pass_on();
  after(fault, call, answer);
}

void FaultStore::after(Fault fault, const Call& call, const Answer& answer) {
  if (fault == Fault::timeout_after) fail(Code::timeout, call, "no answer in time");
  if (fault == Fault::internal_error_after) fail(Code::unavailable, call, "500 InternalError");
  if (fault == Fault::own_write) {
    *answer.result = call.op == Op::put_if_absent ? PutResult::exists : PutResult::changed;
  }
  std::lock_guard lock(mutex_);
  if (fault == Fault::truncated_body && *answer.bytes) {
    (*answer.bytes)->resize(random_.below((*answer.bytes)->size() + 1));
  }
  if (fault == Fault::missing_in_listing && !answer.listing->empty()) leave_out(*answer.listing);
}

void FaultStore::leave_out(std::vector<ObjectInfo>& listing) {
  const auto at = listing.begin() + static_cast<std::ptrdiff_t>(random_.below(listing.size()));
  if (at->name == std::exchange(left_out_, at->name)) {
    left_out_.clear();
  } else {
    listing.erase(at);
  }
}

}  // namespace lifeboat::store
