#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "vault/verify.hpp"

namespace lifeboat::vault {

// The damages of one verify, one for each object, and which points they cost.
class DamageList {
 public:
  // Nothing to say of a hit or of a point: an empty string.
  void add(const std::string& object, const std::string& kind, const Error& error,
           const std::string& point = {}, const std::string& hit = {});
  bool has(const std::string& object) const { return by_object_.contains(object); }
  // What an object that is listed belongs to, and which point loses it.
  void hit(const std::string& object, const std::string& point, const std::string& what);
  // Whether the point, which is not known whole, needs what is damaged is not known.
  void may_hit(const std::string& object, const std::string& point);
  // It is known what is lost with the object, and which points that costs: what hit() tells; or,
  // when it is `unknown` what it held, what points are seen to lack.
  enum class Content { known, unknown };
  void explain(const std::string& object, Content content = Content::known) {
    explained_.emplace(object, content);
  }
  // The point loses something, whatever is listed.
  void fail(const std::string& point, const std::string& what);
  // It was dropped meanwhile: what only it lost is no damage.
  void forget_point(const std::string& point);

  const std::map<std::string, std::string>& failed() const { return failed_; }  // and why
  // What to do next is said of those that are explained, now that it is known what they cost.
  std::vector<Damage> take();
  std::uint64_t more() const { return more_; }

 private:
  std::vector<Damage> damages_;
  std::map<std::string, std::size_t> by_object_;  // index in damages_
  std::map<std::string, Content> explained_;
  std::map<std::string, std::string> failed_;  // by point
  std::uint64_t more_ = 0;
};

}  // namespace lifeboat::vault
