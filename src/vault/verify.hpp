#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/cancel.hpp"
#include "base/error.hpp"
#include "vault/proof.hpp"
#include "vault/vault.hpp"

namespace lifeboat::vault {

struct Damage {
  std::string object;  // its name in the store, or the log whose range is missing
  std::string kind;    // "pack", "chunk", "snapshot", "logbook", "point", "root", "range"…
  Code code = Code::corrupt;
  std::string problem;
  std::string hint;  // what to do next
  // What it belongs to, at most 100: "point <id> snapshot <id> (<kind>) file <path>",
  // "log <name> [a, b)".
  std::vector<std::string> hits;
  std::set<std::string> points;  // ids of those that lose something
  // Of those that could not be walked whole: whether they need what is damaged is not known.
  std::set<std::string> unknown;
};

struct VerifyProgress {
  std::uint64_t objects = 0;
  ByteCount bytes;  // read so far…
  ByteCount total;  // …of so many; 0: not known yet
  std::string doing;
};

struct PointResult {
  std::string id;
  Verdict verdict = Verdict::verified;
  std::string what;  // is wrong
  // Of a sample: what the point's data lies in, packs and objects of the logbook; another number
  // when one of them is another.
  std::uint64_t set = 0;
};

struct VerifyReport {
  std::uint64_t objects = 0;  // looked at
  std::uint64_t points = 0;
  ByteCount bytes;              // of packs and of the logbook that were read…
  ByteCount content;            // …what they are when they are decompressed…
  ByteCount total;              // …and how many there are to be read by a verify of the data
  std::vector<Damage> damages;  // at most kMaxDamages; more are counted only
  std::uint64_t more_damages = 0;
  std::vector<std::string> unread;   // what the store did not give…
  bool stopped = false;              // …so that the rest was not looked at
  std::vector<PointResult> results;  // of each point that was looked at, and is still there
  std::set<std::string> damaged;     // packs and objects of the logbook that are not whole
  std::set<std::string> settled;     // of VerifyOptions::damaged: whole again, or gone
  std::optional<SamplePlace> next;   // where the next sample goes on, when all of it was read
  bool good() const { return damages.empty() && more_damages == 0; }
};
constexpr std::size_t kMaxDamages = 10'000;

struct VerifyOptions {
  std::optional<std::string> point;  // only what this point needs (a full id); else all objects
  Depth depth = Depth::existence;
  Share share = kAll;  // of a sample
  SamplePlace from;    // where it goes on
  // What an earlier verify found damaged is read again, however deep this one is.
  std::vector<std::string> damaged;
  std::function<void(const VerifyProgress&)> progress;  // may be empty
};

// Goes through the vault and reports what is damaged; changes nothing. Damage never throws, and
// what the store does not give is `unread`, and it goes on until the store does not answer for more
// than kMostAway objects; a request to stop throws. Memory: PackIndex, a
// bit for each chunk, what check_objects() states, and what Logbook does.
VerifyReport verify(const Vault& vault, const VerifyOptions& options, const Cancel& cancel);

}  // namespace lifeboat::vault
