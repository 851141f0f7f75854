#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/cancel.hpp"
#include "base/error.hpp"
#include "vault/vault.hpp"

namespace lifeboat::vault {

enum class VerifyLevel {
  exists,  // every object that is named is there; roots, pages, footers and points are read
  full,    // every byte is read and compared with its checksum
};

struct Damage {
  std::string object;  // its name in the store, or the log whose range is missing
  std::string kind;    // "pack", "chunk", "snapshot", "logbook", "point", "root", "range"…
  Code code;           // not_found, corrupt, unsupported…
  std::string problem;
  std::string hint;               // what to do
  std::vector<std::string> hits;  // "point <id>", "snapshot <id> file <path>", "log <name> [a, b)"
};

struct VerifyProgress {
  std::uint64_t objects = 0;
  ByteCount bytes;  // read so far
  std::string doing;
};

struct VerifyReport {
  std::uint64_t objects = 0;  // checked
  std::uint64_t points = 0;
  ByteCount bytes;
  std::vector<Damage> damages;  // at most kMaxDamages; more are counted only
  std::uint64_t more_damages = 0;
  bool good() const { return damages.empty(); }
};
constexpr std::size_t kMaxDamages = 10'000;

struct VerifyOptions {
  std::optional<std::string> point;  // only what this point needs (a full id); else all objects
  VerifyLevel level = VerifyLevel::full;
  std::function<void(const VerifyProgress&)> progress;  // may be empty
};

// Goes through the vault and reports what is damaged; changes nothing. Damage never throws; a store
// that cannot be reached does, and so does a request to stop.
VerifyReport verify(const Vault& vault, const VerifyOptions& options, const Cancel& cancel);

}  // namespace lifeboat::vault
