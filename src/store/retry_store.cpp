#include "store/retry_store.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "base/error.hpp"

namespace lifeboat::store {

Millis wait_after(const RetryPolicy& policy, int failures, Random& random) {
  const int doublings = std::clamp(failures - 1, 0, 20);
  const auto whole = std::min(policy.longest_wait.count(), policy.first_wait.count() << doublings);
  const auto half = whole / 2;
  return Millis(
      half + static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(whole - half) + 1)));
}

int RetryStore::tries(const std::function<void()>& f) {
  const auto begun = pause_.clock.get().steady();
  for (int failures = 0;;) {
    try {
      f();
      return failures;
    } catch (Error& error) {
      if (error.code() != Code::unavailable && error.code() != Code::timeout) throw;
      ++failures;
      Millis wait{};
      {
        std::lock_guard lock(mutex_);
        wait = wait_after(policy_, failures, random_);
      }
      if (pause_.clock.get().steady() + wait > begun + policy_.patience) {
        if (failures > 1) error.during(fmt::format("trying it {} times", failures));
        throw;
      }
      if (failures == 2) {  // once is nothing
        spdlog::warn("{}; trying again for {} s", error.what(), policy_.patience.count() / 1000);
      }
      pause_.sleep(wait);
    }
  }
}

bool RetryStore::is_ours(const std::string& name, const std::vector<std::string_view>& parts) {
  const auto there = get(name);
  if (!there) return false;
  std::string_view rest = *there;
  for (auto part : parts) {
    if (!rest.starts_with(part)) return false;
    rest.remove_prefix(part.size());
  }
  return rest.empty();
}

std::optional<std::string> RetryStore::get(const std::string& name) {
  std::optional<std::string> out;
  tries([&] { out = inner().get(name); });
  return out;
}

std::optional<std::string> RetryStore::get_range_in(std::string room, const std::string& name,
                                                    ByteCount offset, ByteCount length) {
  std::optional<std::string> out;
  tries([&] { out = inner().get_range_in(std::exchange(room, ""), name, offset, length); });
  return out;
}

void RetryStore::put(const std::string& name, std::string_view bytes) {
  tries([&] { inner().put(name, bytes); });
}

PutResult RetryStore::put_parts_if_absent(const std::string& name,
                                          const std::vector<std::string_view>& parts) {
  PutResult out{};
  const int failed = tries([&] { out = inner().put_parts_if_absent(name, parts); });
  const bool doubtful = failed > 0 && out == PutResult::exists;
  return doubtful && is_ours(name, parts) ? PutResult::written : out;
}

PutResult RetryStore::put_if_unchanged(const std::string& name, std::string_view bytes,
                                       const std::string& seen_version) {
  PutResult out{};
  const int failed = tries([&] { out = inner().put_if_unchanged(name, bytes, seen_version); });
  const bool doubtful = failed > 0 && out == PutResult::changed;
  return doubtful && is_ours(name, {bytes}) ? PutResult::written : out;
}

void RetryStore::list(const std::string& prefix,
                      const std::function<void(const ObjectInfo&)>& visit) {
  std::vector<ObjectInfo> found;
  tries([&] {
    found.clear();
    inner().list(prefix, [&](const ObjectInfo& info) { found.push_back(info); });
  });
  for (const auto& info : found) visit(info);
}

bool RetryStore::remove(const std::string& name) {
  bool out = false;
  const int failed = tries([&] { out = inner().remove(name); });
  return out || failed > 0;
}

std::optional<ObjectInfo> RetryStore::stat(const std::string& name) {
  std::optional<ObjectInfo> out;
  tries([&] { out = inner().stat(name); });
  return out;
}

std::optional<Timestamp> RetryStore::locked_until(const std::string& name) {
  std::optional<Timestamp> out;
  tries([&] { out = inner().locked_until(name); });
  return out;
}

bool RetryStore::lock_until(const std::string& name, Timestamp until) {
  bool out = false;
  tries([&] { out = inner().lock_until(name, until); });
  return out;
}

}  // namespace lifeboat::store
