#pragma once

#include <fmt/format.h>

#include <vector>

#include "base/error.hpp"
#include "kafka/record_batch.hpp"
#include "recovery/log_names.hpp"
#include "vault/logbook.hpp"

namespace lifeboat::recovery {

// The batches of [from, until) in order, each once, also where several archivers wrote the same
// range: one extent a call.
class BatchReader {
 public:
  BatchReader(const vault::Logbook& logbook, const kafka::LogId& log, Offset from, Offset until)
      : logbook_(logbook),
        name_(log_name(log)),
        at_(from.value),
        until_(until.value),
        next_(from) {}

  // False at the end. `take` gets the extent's bytes and the batches in them.
  template <typename Take>
  bool step(Take&& take) {
    auto extent = logbook_.read_one(name_, at_, until_, vault::Holes::skip);
    if (!extent) return false;
    at_ = extent->wanted_to;
    const auto split = kafka::split_batches(*extent->bytes);
    if (split.whole != extent->bytes->size()) {
      throw Error(
          Code::corrupt, name_.value,
          fmt::format("its extent at {} does not end with a whole batch", extent->wanted_from),
          "run lifeboat verify");
    }
    std::vector<kafka::BatchView> batches;
    for (const auto& batch : split.batches) {
      if (batch.next_offset() <= next_) continue;                       // given by another extent
      if (batch.base_offset().value >= extent->wanted_to.value) break;  // the next extent's
      next_ = batch.next_offset();
      batches.push_back(batch);
    }
    take(*extent, batches);
    return true;
  }

 private:
  const vault::Logbook& logbook_;
  vault::LogName name_;
  Position at_;
  Position until_;
  Offset next_;
};

}  // namespace lifeboat::recovery
