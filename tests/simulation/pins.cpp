#include "simulation/pins.hpp"

#include <fmt/format.h>

#include "simulation/violation.hpp"

namespace lifeboat::vault::simulation {
namespace {

constexpr std::array kStates = {"living", "revoked", "gone"};

}  // namespace

// States only go forward; one that is gone may come back by a write that was late. Then nobody
// relies on it.
bool PinModel::written(const Vault& vault, const std::string& id, const std::string& bytes,
                       Timestamp now) {
  const auto pin = open_pin(vault.sealing(), id, bytes);
  const auto state = pin.revoked ? Kept::State::revoked : Kept::State::living;
  auto [it, is_new] = pins_.try_emplace(id);
  auto& kept = it->second;
  const bool comes = is_new || kept.state == Kept::State::gone;
  if (comes ? state != Kept::State::living : kept.state != Kept::State::living) {
    throw Violation{fmt::format("pin {} was {} and is written as {}", id,
                                is_new ? "not there" : kStates[static_cast<int>(kept.state)],
                                kStates[static_cast<int>(state)])};
  }
  const bool counted = !comes && kept.counts();
  if (comes) kept = {state, pin.point.id, pin.follows, pin.alive_at(), Timestamp(0)};
  if (state == Kept::State::revoked && pin.why.find("took it for dead") != std::string::npos) {
    ++revoked_;
    if (const auto silent = now - kept.alive_at; silent < least_.count()) {
      throw Violation{
          fmt::format("pin {} is revoked {} s after its last sign of life", id, silent / 1000)};
    }
  }
  kept.alive_at = pin.alive_at();
  kept.state = state;
  return counted && state == Kept::State::revoked;
}

bool PinModel::removes(const std::string& id) {
  const auto it = pins_.find(id);
  if (it == pins_.end()) return false;
  const bool counted = it->second.counts();
  it->second.state = Kept::State::gone;
  return counted;
}

bool PinModel::saw(const std::string& id, Timestamp now) {
  const auto it = pins_.find(id);
  if (it == pins_.end() || it->second.state != Kept::State::living || it->second.counts())
    return false;
  it->second.seen = now;
  ++seen_;
  return true;
}

bool PinModel::is_living(const std::string& id) const {
  const auto it = pins_.find(id);
  return it != pins_.end() && it->second.state == Kept::State::living;
}

bool PinModel::counts(const std::string& id) const {
  const auto it = pins_.find(id);
  return it != pins_.end() && it->second.counts();
}

bool PinModel::keeps(const std::string& point, Timestamp before) const {
  return std::ranges::any_of(pins_, [&](const auto& one) {
    return one.second.point == point && one.second.counts() && one.second.seen < before;
  });
}

}  // namespace lifeboat::vault::simulation
