#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "recovery/context.hpp"
#include "recovery/retention.hpp"
#include "vault/proof.hpp"
#include "vault/vault.hpp"

namespace lifeboat::serve {

// What is looked at now and then, beside what the archiver knows by itself.
struct Watched {
  struct Log {
    std::string name;
    std::uint64_t gaps = 0;
    std::int64_t missing = 0;  // positions in them
  };
  std::vector<Log> logs;
  std::vector<recovery::PartitionLeft> partitions;
  std::uint64_t points = 0;
  std::optional<Timestamp> newest_point;
  vault::PointProof newest_proof;      // of that point
  std::optional<vault::Proof> verify;  // the last one that is kept
  std::uint64_t failed_points = 0;     // that a verify found to have lost something
  Timestamp at;                        // when it was looked
  std::vector<std::string> problems;   // what could not be looked at, and why
};

// Looks every half minute, on a thread of its own, and warns in the log of partitions whose records
// Kafka is about to delete before they are archived. What fails is logged and looked at again.
class Watch {
 public:
  Watch(const recovery::Context& outer, vault::Vault vault);
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  ~Watch();
  std::optional<Watched> last() const;

 private:
  void run();
  Watched look(const recovery::Context& context);
  void warn(const Watched& now);

  const recovery::Context& outer_;
  vault::Vault vault_;
  Cancel cancel_;
  Random random_;
  mutable std::mutex mutex_;
  std::optional<Watched> last_;
  std::map<kafka::LogId, std::string> warned_;
  std::string problem_;
  std::thread thread_;
};

}  // namespace lifeboat::serve
