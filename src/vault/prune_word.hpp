#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/random.hpp"
#include "vault/vault.hpp"
#include "vault/word_format.hpp"

namespace lifeboat::vault {

// A word, or why it cannot be read.
struct ListedWord {
  std::string id;
  std::string version;
  std::optional<PruneWord> word;
  std::string problem;
};
std::vector<ListedWord> list_words(const Vault& vault);  // oldest first
// nullopt: it is gone.
std::optional<ListedWord> read_word(const Vault& vault, const std::string& id);

std::string make_word_id(Clock& clock, Random& random);
void write_word(const Vault& vault, const PruneWord& word);
// Swaps it; false when somebody else was faster: look again.
bool replace_word(const Vault& vault, const ListedWord& seen, const PruneWord& word);
void remove_word(const Vault& vault, const std::string& id);

// What counts as absent for who relies on packs: all that is named by words but `except`. With a
// word that cannot be read, that is every pack there is.
std::set<std::string> condemned_packs(const Vault& vault, const std::string& except = {});

// The same of logs: what is left of them when all that is named is pruned. Of a word that cannot be
// read nothing is known: its logs are pruned by whoever could.
PrunedLogs condemned_logs(const Vault& vault);
// Of what is decided alone: nobody takes that back, whoever needs it now.
PrunedLogs decided_logs(const Vault& vault);

// What a pruner must know of words but its own `except` before it drops points. With a word that
// cannot be read, that is not known.
struct OtherWords {
  std::set<std::string> points;  // names of objects: they go, or may go
  bool known = true;
};
OtherWords other_words(const Vault& vault, const std::string& except);

}  // namespace lifeboat::vault
