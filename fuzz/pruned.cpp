#include "fuzz/targets.hpp"
#include "vault/pruned_format.hpp"

// The payload of what says which part of logs is left: what is taken is written as it was read, and
// a log's end is always left.
namespace lifeboat::fuzz {
namespace {

const std::string kId = "20261122T170506123Z-0123456789abcdef";

vault::PrunedLogs read(std::string_view payload) {
  const auto name = vault::pruned_name(kId);
  return vault::open_pruned(nullptr, name, vault::frame(vault::ObjectType::pruned, name, payload));
}

}  // namespace

void pruned(std::string_view bytes) {
  const auto logs = read(bytes);
  for (const auto& [log, left] : logs.logs()) {
    if (left.empty() || left.back().to != vault::kLastPosition) broken("no end is left");
    if (vault::unite(left) != left) broken("ranges that are not in order");
  }
  const auto again = taken([&] { return read(vault::encode_pruned(kId, logs)); });
  if (again.logs() != logs.logs()) broken("what is left is not what was read");
  auto both = logs;
  both.narrow(again);
  if (both.logs() != logs.logs()) broken("what is left shrinks when it is said twice");
}

}  // namespace lifeboat::fuzz

LIFEBOAT_FUZZ_TARGET(pruned)
