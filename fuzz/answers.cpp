#include "fuzz/targets.hpp"
#include "kafka/group_protocol.hpp"
#include "kafka/protocol.hpp"

namespace lifeboat::fuzz {

// The first byte chooses the API.
void answers(std::string_view bytes) {
  if (bytes.empty()) return;
  const auto kind = static_cast<unsigned char>(bytes[0]) % 12;
  const auto answer = bytes.substr(1);
  if (kind == 0) kafka::parse_metadata(answer, "broker");
  if (kind == 1) kafka::parse_list_offsets(answer, "broker");
  if (kind == 2) kafka::parse_find_coordinator(answer, "broker");
  if (kind == 3) kafka::parse_leave_group(answer, "broker");
  if (kind == 5) kafka::parse_init_producer_id(answer, "broker");
  if (kind == 6) kafka::parse_produce(answer, "broker");
  if (kind == 7) kafka::parse_list_groups(answer, "broker");
  if (kind == 8) kafka::parse_describe_group(answer, "broker");
  if (kind == 9) kafka::parse_offset_fetch(answer, "broker");
  if (kind == 10) kafka::parse_offset_commit(answer, "broker");
  if (kind == 11) kafka::parse_delete_group(answer, "broker");
  if (kind != 4) return;
  for (const auto& partition : kafka::parse_fetch(answer, "broker").partitions) {
    kafka::split_batches(partition.records);
  }
}

}  // namespace lifeboat::fuzz

LIFEBOAT_FUZZ_TARGET(answers)
