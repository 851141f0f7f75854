#include "recovery/log_names.hpp"

#include <fmt/format.h>

#include <charconv>
#include <vector>

namespace lifeboat::recovery {
namespace {

std::vector<std::string_view> segments(std::string_view text) {
  std::vector<std::string_view> out;
  for (;;) {
    auto slash = text.find('/');
    out.push_back(text.substr(0, slash));
    if (slash == std::string_view::npos) return out;
    text.remove_prefix(slash + 1);
  }
}

template <typename T>
std::optional<T> number(std::string_view text, int base) {
  T value{};
  auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (text.empty() || ec != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<WalLog> parse_timeline_log(const vault::LogName& name, std::string_view kind) {
  auto parts = segments(name.value);
  if (parts.size() != 3 || parts[0] != kind) return std::nullopt;
  auto system = number<std::uint64_t>(parts[1], 10);
  auto timeline = number<std::uint32_t>(parts[2], 16);
  if (!system || !timeline || parts[2].size() != 8) return std::nullopt;
  return WalLog{*system, TimelineId(*timeline)};
}

}  // namespace

vault::LogName log_name(const kafka::LogId& log) {
  return {fmt::format("kafka/{}/{}/{}/{}", log.cluster_id, log.topic_id, log.topic,
                      log.partition.value)};
}

std::optional<kafka::LogId> parse_kafka_log(const vault::LogName& name) {
  auto parts = segments(name.value);
  if (parts.size() != 5 || parts[0] != "kafka") return std::nullopt;
  auto partition = number<std::int32_t>(parts[4], 10);
  if (!partition || *partition < 0) return std::nullopt;
  return kafka::LogId{std::string(parts[1]), std::string(parts[2]), std::string(parts[3]),
                      PartitionId(*partition)};
}

vault::LogName log_name_since(const kafka::LogId& log, kafka::LeaderEpoch epoch) {
  return {fmt::format("{}/epoch-{}", log_name(log).value, epoch.value)};
}

std::optional<KafkaBranch> parse_kafka_branch(const vault::LogName& name) {
  constexpr std::string_view prefix = "epoch-";
  const auto slash = name.value.rfind('/');
  if (slash == std::string::npos) return std::nullopt;
  auto last = std::string_view(name.value).substr(slash + 1);
  auto log = parse_kafka_log({name.value.substr(0, slash)});
  if (!log || !last.starts_with(prefix)) return std::nullopt;
  auto epoch = number<std::int32_t>(last.substr(prefix.size()), 10);
  if (!epoch || *epoch < -1) return std::nullopt;
  return KafkaBranch{*log, kafka::LeaderEpoch(*epoch)};
}

vault::LogName groups_log_name(const std::string& cluster_id) {
  return {"kafka-groups/" + cluster_id};
}

vault::LogName wal_log_name(const WalLog& log) {
  return {fmt::format("postgres/{}/{:08X}", log.system_identifier, log.timeline.value)};
}

std::optional<WalLog> parse_wal_log(const vault::LogName& name) {
  return parse_timeline_log(name, "postgres");
}

vault::LogName history_log_name(const WalLog& log) {
  return {fmt::format("postgres-history/{}/{:08X}", log.system_identifier, log.timeline.value)};
}

std::optional<WalLog> parse_history_log(const vault::LogName& name) {
  return parse_timeline_log(name, "postgres-history");
}

}  // namespace lifeboat::recovery
