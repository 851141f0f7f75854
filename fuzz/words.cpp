#include "fuzz/targets.hpp"
#include "store/object_store.hpp"
#include "vault/word_format.hpp"

// The payload of a word, in each of its states: what is taken is written as it was read, and names
// nothing that a pruner may not delete.
namespace lifeboat::fuzz {
namespace {

const std::string kId = "20261122T170506123Z-0123456789abcdef";

vault::PruneWord read(std::string_view payload) {
  const auto name = vault::word_name(kId);
  return vault::open_word(nullptr, kId, vault::frame(vault::ObjectType::word, name, payload));
}

void expect_below(const char* prefix, const std::vector<std::string>& names) {
  for (const auto& name : names) {
    if (!name.starts_with(prefix) || !store::valid_name(name)) broken("another object would go");
  }
}

}  // namespace

void words(std::string_view bytes) {
  const auto word = read(bytes);
  expect_below("packs/", word.packs);
  expect_below("snapshots/", word.snapshots);
  expect_below("points/", word.points);
  const auto again = vault::encode(word);
  const auto second = taken([&] { return read(again); });
  if (vault::encode(second) != again || second.names_nothing() != word.names_nothing()) {
    broken("a word is not what was read");
  }
}

}  // namespace lifeboat::fuzz

LIFEBOAT_FUZZ_TARGET(words)
