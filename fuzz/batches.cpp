#include <cstring>

#include "base/bytes.hpp"
#include "base/checksum.hpp"
#include "fuzz/targets.hpp"
#include "kafka/range_facts.hpp"
#include "kafka/record_batch.hpp"

namespace lifeboat::fuzz {
namespace {

constexpr std::size_t kLengthAt = 8;
constexpr std::size_t kCrcAt = 17;
constexpr std::size_t kCheckedFrom = 21;

// Mutations would end at the checksum: each batch gets the one that fits.
std::string with_checksums(std::string_view bytes) {
  std::string fixed(bytes);
  for (std::size_t at = 0; fixed.size() - at >= kafka::kBatchHeader;) {
    const auto length = load_be<std::int32_t>(&fixed[at + kLengthAt]);
    if (length < static_cast<std::int32_t>(kafka::kBatchHeader) - 12) break;
    const auto size = static_cast<std::size_t>(length) + 12;
    if (size > fixed.size() - at) break;
    const auto crc = to_big_endian(
        crc32c(std::string_view(fixed).substr(at + kCheckedFrom, size - kCheckedFrom)));
    std::memcpy(&fixed[at + kCrcAt], &crc, sizeof crc);
    at += size;
  }
  return fixed;
}

}  // namespace

void batches(std::string_view bytes) {
  const auto fixed = with_checksums(bytes);
  const auto split = kafka::split_batches(fixed);
  if (split.whole > fixed.size()) broken("more bytes than there are");
  if (kafka::crc32c_of(split.batches) != crc32c(std::string_view(fixed).substr(0, split.whole))) {
    broken("the checksum put together is another one");
  }
  kafka::TransactionSum transactions;
  if (!split.batches.empty()) {
    transactions.add(split.batches.front().base_offset(), split.batches.back().next_offset(),
                     kafka::facts_of(split.batches));
  }
  const kafka::ReplayFilter filter(transactions.never_committed());
  const kafka::TopicPartition log{"t", PartitionId(0)};
  Offset next{0};
  for (const auto& batch : split.batches) {
    if (batch.base_offset() < next || batch.next_offset() <= batch.base_offset()) {
      broken("offsets that do not grow");
    }
    next = batch.next_offset();
    if (filter.decide(batch) != kafka::Replay::keep || batch.has_holes()) continue;
    std::string patched(batch.bytes());
    kafka::patch_for_produce(patched, log, {1, 2, 3});
    const auto again = kafka::BatchView::parse(patched);
    if (again.record_count() != batch.record_count()) broken("a patch changed the records");
  }
}

}  // namespace lifeboat::fuzz

LIFEBOAT_FUZZ_TARGET(batches)
