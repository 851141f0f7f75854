#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/cancel.hpp"
#include "base/error.hpp"
#include "vault/extent.hpp"
#include "vault/pack_format.hpp"
#include "vault/vault.hpp"

// Packs and objects of the logbook, read to their last byte.
namespace lifeboat::vault {

struct ObjectToCheck {
  std::string name;
  ByteCount size;  // as the store lists it
};

struct ObjectCheck {
  std::string name;
  ByteCount bytes;              // that were read
  ByteCount content;            // what they are when they are decompressed
  std::optional<Error> error;   // the first thing that is wrong; Code::not_found: it is gone
  std::optional<Error> unread;  // the store did not give it: neither good nor bad
  bool lost = false;            // the footer cannot be read: nothing of it can be relied on
  // What is not what it was:
  std::vector<std::uint32_t> chunks;  // of a pack, by offset
  std::vector<Extent> extents;        // of an object of the logbook
};

// Which parts are to be read; an empty function: all.
struct CheckedParts {
  std::function<bool(const PackedChunk&)> chunk;
  std::function<bool(const Extent&)> extent;
};

// Each of the objects: header and footer; each part's checksum; each chunk opened, decompressed and
// hashed. Several at a time, on all cores; tells of them in order. Memory: 96 MiB at most for
// stored bytes and content together, unless a single part needs more, and the footers of those
// under way.
void check_objects(const Vault& vault, const std::vector<ObjectToCheck>& objects,
                   const CheckedParts& wanted, const Cancel& cancel,
                   const std::function<void(ObjectCheck)>& visit);

}  // namespace lifeboat::vault
