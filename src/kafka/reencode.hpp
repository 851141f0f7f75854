#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kafka/offset_translation.hpp"
#include "kafka/records.hpp"

namespace lifeboat::kafka {

// Writes anew the batches of which a broker would refuse something, or change it, or of which only
// a part is wanted, [from, until):
// - with holes: compaction took records out, and the broker takes only deltas 0, 1, 2, …
// - with log append time: a topic with CreateTime would give the records their producers' times,
//   which no consumer has seen; one with LogAppendTime would give them the time of the restore.
// - that begin before `from` or end after `until`: where a log begins, where the range of one
// extent
//   ends, compaction may have put records of both sides into one batch.
bool must_reencode(const BatchView& batch, Offset from, Offset until);

struct ReencodedBatch {
  struct Kept {  // the records of old offsets [base, next) follow each other in the new batch
    Offset base;
    Offset next;
  };
  std::string bytes;       // base offset that of the first record, then one record an offset
  std::vector<Kept> kept;  // in order; between them are holes
};

class Reencoder {
 public:
  explicit Reencoder(ByteCount limit = kMaxRecords) : reader_(limit) {}

  // The records with offsets in [from, until): same keys, values, headers, compression and, for a
  // consumer, the same timestamps, as create times. nullopt: there are none. Errors as of
  // RecordReader.
  std::optional<ReencodedBatch> run(const BatchView& batch, const TopicPartition& log, Offset from,
                                    Offset until);

 private:
  void append(const Record& record, std::int64_t time_delta, std::int64_t offset_delta);

  RecordReader reader_;
  std::string record_;
  std::string records_;
};

// What goes to a broker of the part [from, until) of a stored batch.
struct Producible {
  std::optional<std::string> rewritten;  // nullopt: the batch as it is
  std::int32_t records = 0;
};
// Also adds to `table` where these offsets lie when the first record lands at `lands_at`: exact for
// each record, and a hole leads to the next record. nullopt: nothing of it is wanted.
std::optional<Producible> make_producible(Reencoder& reencoder, const BatchView& batch,
                                          const TopicPartition& log, Offset from, Offset until,
                                          Offset lands_at, OffsetTranslation& table);

}  // namespace lifeboat::kafka
