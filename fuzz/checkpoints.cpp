#include "fuzz/targets.hpp"
#include "kafka/checkpoint_file.hpp"

// A stopped broker's offsets by partition: what is taken is written as it was read.
namespace lifeboat::fuzz {

void checkpoints(std::string_view bytes) {
  const auto lines = kafka::parse_checkpoint(std::string(bytes), "a file");
  const auto again = taken([&] { return kafka::parse_checkpoint(kafka::encode(lines), "a file"); });
  if (again != lines) broken("offsets are not what was read");
}

}  // namespace lifeboat::fuzz

LIFEBOAT_FUZZ_TARGET(checkpoints)
