#include "vault/chunk_runs.hpp"

#include <algorithm>

namespace lifeboat::vault {
namespace {

class Planner {
 public:
  explicit Planner(const RunLimits& limits) : limits_(limits) {}

  void add(const WantedChunk& chunk) {
    const auto& place = chunk.place;
    const std::uint64_t end = std::uint64_t{place.offset} + place.stored;
    const bool again = !runs_.empty() && runs_.back().chunks.back().place == place;
    if (!again && !fits(place, end)) {
      runs_.push_back({place.pack, ByteCount(place.offset), ByteCount(0), {}});
    }
    auto& run = runs_.back();
    run.length = ByteCount(end - run.offset.value);
    run.chunks.push_back(chunk);
  }
  std::vector<ChunkRun> take() { return std::move(runs_); }

 private:
  bool fits(const PackPlace& place, std::uint64_t end) const {
    if (runs_.empty() || runs_.back().pack != place.pack) return false;
    const auto& run = runs_.back();
    return place.offset - (run.offset.value + run.length.value) <= limits_.gap.value &&
           end - run.offset.value <= limits_.most.value;
  }

  const RunLimits& limits_;
  std::vector<ChunkRun> runs_;
};

std::size_t first_number(const ChunkRun& run) {
  return std::min_element(run.chunks.begin(), run.chunks.end(),
                          [](const auto& a, const auto& b) { return a.number < b.number; })
      ->number;
}

}  // namespace

std::vector<ChunkRun> plan_runs(std::vector<WantedChunk> wanted, const RunLimits& limits) {
  std::stable_sort(wanted.begin(), wanted.end(),
                   [](const auto& a, const auto& b) { return a.place < b.place; });
  Planner planner(limits);
  for (const auto& chunk : wanted) planner.add(chunk);
  auto runs = planner.take();
  std::sort(runs.begin(), runs.end(),
            [](const auto& a, const auto& b) { return first_number(a) < first_number(b); });
  return runs;
}

}  // namespace lifeboat::vault
