#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/types.hpp"
#include "vault/pins.hpp"

namespace lifeboat::vault::simulation {

// What is known of the pins: told of every one that comes, changes and goes, in their order. Throws
// Violation.
class PinModel {
 public:
  // `least`: without a sign of life for less than that nobody takes a restore for dead.
  explicit PinModel(Millis least) : least_(least) {}

  struct Kept {
    enum class State { living, revoked, gone } state = State::living;
    std::string point;
    bool follows = false;  // what follows of the logs is needed, and was there when it was seen
    Timestamp alive_at;
    Timestamp seen{0};  // when its restore saw the point, after the pin was written; 0: not yet
    // From then on all that its point needs stays, until it is revoked, or gone.
    bool counts() const { return state == State::living && seen > Timestamp(0); }
  };

  // After it took effect, and before. True: it counted, and does no more.
  bool written(const Vault& vault, const std::string& id, const std::string& bytes, Timestamp now);
  bool removes(const std::string& id);
  // Its restore saw the point. False: it does not count any more, or did already.
  bool saw(const std::string& id, Timestamp now);

  bool is_living(const std::string& id) const;
  bool counts(const std::string& id) const;
  // Points that are kept by a pin that counts since before `before`.
  bool keeps(const std::string& point, Timestamp before) const;
  std::map<std::string, Kept>& all() { return pins_; }
  const std::map<std::string, Kept>& all() const { return pins_; }
  std::uint64_t seen() const { return seen_; }        // so far
  std::uint64_t revoked() const { return revoked_; }  // by pruners, so far

 private:
  Millis least_;
  std::map<std::string, Kept> pins_;
  std::uint64_t seen_ = 0;
  std::uint64_t revoked_ = 0;
};

}  // namespace lifeboat::vault::simulation
