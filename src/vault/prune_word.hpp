#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/random.hpp"
#include "vault/pruned_logs.hpp"
#include "vault/vault.hpp"

namespace lifeboat::vault {

// The point with which the logbook's window begins; older ones first.
struct WindowBeginning {
  Timestamp created;
  std::string point;  // its id
  friend auto operator<=>(const WindowBeginning&, const WindowBeginning&) = default;
};

// What a pruner is about to delete: `prune/<id>`, read by everybody who is about to rely on it
// (docs/prune.md). Its states only go forward, each by one swap: named; told who was open after
// that, and which points go for sure; decided. It goes when nothing is left of what was decided.
struct PruneWord {
  std::string id;  // <time>-<16 hex digits>: drawn anew for each
  Timestamp created;
  std::string host;
  // Sorted names of objects; once decided those that are deleted, the others were used again.
  std::vector<std::string> packs;
  std::vector<std::string> snapshots;
  std::vector<std::string> points;   // with suspects: those that go for sure
  std::vector<std::string> outside;  // what these points have beside the vault
  ByteCount bytes;                   // of these packs
  PrunedLogs logs;                   // what is to be left of logs of which something is pruned
  // That it drops points and prunes logs relies on this one. nullopt: on none.
  std::optional<WindowBeginning> window;
  struct Suspects {
    Timestamp since;                  // from then on the grace period counts
    std::vector<std::string> points;  // open after the word was written: they may not know it
  };
  std::optional<Suspects> suspects;
  bool decided = false;

  bool names_nothing() const {
    return packs.empty() && snapshots.empty() && points.empty() && outside.empty() && logs.empty();
  }
};

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

std::string word_name(const std::string& id);  // prune/<id>

}  // namespace lifeboat::vault
