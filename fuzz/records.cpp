#include "fuzz/targets.hpp"
#include "kafka/reencode.hpp"

namespace lifeboat::fuzz {
namespace {

constexpr ByteCount kLimit{1u << 20};
const kafka::TopicPartition kLog{"t", PartitionId(0)};

// Every byte is looked at, so that a sanitizer sees a view that points elsewhere.
void look(std::string& out, const std::optional<std::string_view>& part) {
  out += part ? 'v' : '~';
  if (part) out += *part;
}

std::string read(const kafka::BatchView& batch) {
  kafka::RecordReader reader(kLimit);
  reader.open(batch, kLog);
  std::string out;
  for (kafka::Record record; reader.next(record);) {
    if (record.offset < batch.base_offset() || record.offset >= batch.next_offset()) {
      broken("a record outside of its batch");
    }
    out += std::to_string(record.timestamp.value) + ' ';
    look(out, record.key);
    look(out, record.value);
    record.headers.each([&](std::string_view key, std::optional<std::string_view> value) {
      look(out, key);
      look(out, value);
    });
  }
  return out;
}

}  // namespace

void records(std::string_view bytes) {
  const auto batch = kafka::BatchView::parse(bytes, false);
  const auto before = read(batch);
  const auto made =
      kafka::Reencoder(kLimit).run(batch, kLog, batch.base_offset(), batch.next_offset());
  if (made && read(kafka::BatchView::parse(made->bytes)) != before) {
    broken("records that are written anew differ");
  }
}

}  // namespace lifeboat::fuzz

LIFEBOAT_FUZZ_TARGET(records)
