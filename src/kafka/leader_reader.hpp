#pragma once

#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/buffer_pool.hpp"
#include "base/cancel.hpp"
#include "base/checksum_trail.hpp"
#include "base/clock.hpp"
#include "kafka/cluster.hpp"
#include "kafka/connection.hpp"
#include "kafka/fetcher.hpp"
#include "kafka/followed_log.hpp"
#include "kafka/protocol.hpp"

namespace lifeboat::kafka {

// What a FetchSink threw; carried past the handling of brokers that fail.
struct SinkFailure {
  std::exception_ptr cause;
};

// Fetches from one broker the logs that it leads. For one thread.
class LeaderReader {
 public:
  // Answers are put into `buffers`. All must outlive the reader.
  LeaderReader(const Config& config, const FetchOptions& options, FetchSink& sink, Clock& clock,
               BufferPool& buffers, const Cancel& stop);

  // One Fetch for all of `logs`, its answer handed to the sink. True: the metadata is out of date.
  // Throws Error when the connection breaks (the next read() connects anew), SinkFailure.
  bool read(const BrokerInfo& broker, const std::vector<FollowedLog*>& logs);

 private:
  void start_new_ones(const std::vector<FollowedLog*>& logs);
  bool fetch(std::vector<FollowedLog*> logs);
  bool take_in(FollowedLog& log, const FetchedPartition& answer);
  void take_records(FollowedLog& log, const FetchedPartition& answer);
  void resolve_out_of_range(FollowedLog& log);
  void skip_to(FollowedLog& log, Offset log_start);
  void prove(FollowedLog& log, const FetchedPartition& answer);
  void diverged(FollowedLog& log, std::optional<Offset> same_below, Offset log_end,
                const std::string& why);
  void pause(FollowedLog& log, Millis time, const std::string& trouble);

  struct Bounds {
    Offset log_start;
    Offset log_end;
  };
  // Of the log itself: nullopt when the broker leads it no more or has another under that name.
  std::vector<std::optional<Bounds>> bounds(const std::vector<FollowedLog*>& logs);

  // Runs a call of the sink; what it throws becomes SinkFailure.
  template <typename F>
  auto tell(F call) {
    try {
      return call();
    } catch (...) {
      throw SinkFailure{std::current_exception()};
    }
  }

  const Config& config_;
  const FetchOptions& options_;
  FetchSink& sink_;
  Clock& clock_;
  const Cancel& stop_;
  BrokerInfo broker_;
  std::optional<Connection> connection_;
  BufferPool& buffers_;
  std::shared_ptr<std::string> buffer_;  // the last answer…
  bool worth_holding_ = false;           // …which takes much of it
  ChecksumTrail trail_;                  // of the last answer
  std::size_t turn_ = 0;
};

}  // namespace lifeboat::kafka
