#include "recovery/group_sampler.hpp"

#include <spdlog/spdlog.h>

#include "base/error.hpp"
#include "kafka/cluster.hpp"
#include "kafka/groups.hpp"
#include "recovery/log_names.hpp"

namespace lifeboat::recovery {

GroupSampler::GroupSampler(kafka::Config config, vault::LogbookWriter& writer, Clock& clock)
    : config_(std::move(config)), writer_(writer), clock_(clock) {}

void GroupSampler::run(Millis interval, const Cancel& cancel) {
  bool warned = false;
  do {
    try {
      sample(interval, cancel);
      warned = false;
    } catch (const Error& e) {
      if (e.code() == Code::cancelled) return;
      if (e.code() == Code::no_space || e.code() == Code::corrupt) throw;
      if (!warned) spdlog::warn("offsets of consumer groups are not sampled: {}", e.what());
      warned = true;
    }
  } while (cancel.sleep_for(interval));
}

void GroupSampler::sample(Millis interval, const Cancel& cancel) {
  kafka::Cluster cluster(config_, clock_, &cancel);
  kafka::Groups consumers(config_, clock_, &cancel);
  while (!cancel.requested()) {
    std::string cluster_id = cluster.metadata().cluster_id;
    GroupOffsets groups;
    for (const auto& group : consumers.list()) {
      auto offsets = consumers.committed(group);
      if (!offsets.empty()) groups[group] = std::move(offsets);
    }
    std::string document = to_json(groups).dump();
    if (document != last_) {
      last_time_ = std::max(clock_.now().value, last_time_ + 1);
      Timestamp now(last_time_);
      writer_.append(
          {groups_log_name(cluster_id), Position(now.value), Position(now.value + 1), now, now, {}},
          document, cancel);
      last_ = std::move(document);
    }
    if (!cancel.sleep_for(interval)) return;
  }
}

std::optional<GroupOffsets> last_group_sample(const vault::Logbook& logbook,
                                              const std::string& cluster_id) {
  auto log = groups_log_name(cluster_id);
  auto next = logbook.next(log);
  if (!next) return std::nullopt;
  std::string document;
  logbook.read(log, Position(next->value - 1), *next,
               [&](const vault::ExtentView& view) { document = std::string(view.bytes); });
  try {
    return group_offsets_from_json(nlohmann::json::parse(document));
  } catch (const nlohmann::json::exception& e) {
    throw Error(Code::corrupt, log.value, e.what());
  }
}

}  // namespace lifeboat::recovery
