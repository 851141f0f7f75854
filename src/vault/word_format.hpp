#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "vault/pruned_format.hpp"

// The bytes of `prune/<id>`; docs/format.md. What is done with them: prune_word.hpp.
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

constexpr std::string_view kWordPrefix = "prune/";
std::string word_name(const std::string& id);  // prune/<id>
std::string encode(const PruneWord& word);
// What stands under prune/<id>. Error(corrupt), Error(unsupported).
PruneWord open_word(const Sealing* sealing, const std::string& id, std::string object);

}  // namespace lifeboat::vault
