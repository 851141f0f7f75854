#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/cancel.hpp"
#include "base/error.hpp"
#include "vault/chunks.hpp"
#include "vault/snapshot.hpp"

namespace lifeboat::vault {

// Where a point needs a chunk.
struct ChunkUse {
  const std::string& point;
  const std::string& snapshot;  // as describe_snapshot() says
  const std::string* path;      // nullptr: for the list of entries
  std::string text() const;
};

// Goes through the chunks that a point's snapshots need. For one thread.
class PointWalk {
 public:
  PointWalk(Chunks& chunks, const Cancel& cancel) : chunks_(chunks), cancel_(cancel) {}

  // Error when the root cannot be read. When its list can't, all that stands before the damage is
  // visited, and damaged_list() says why.
  void snapshot(const std::string& point, const SnapshotId& id,
                const std::function<void(const ChunkRef&, const ChunkUse&)>& visit);
  const std::optional<Error>& damaged_list() const { return damaged_list_; }
  // "point <id> snapshot <id> (<kind>)": of the snapshot that was visited last.
  std::string describe_snapshot(const std::string& point, const SnapshotId& id) const;

 private:
  Chunks& chunks_;
  const Cancel& cancel_;
  std::string kind_;
  std::optional<Error> damaged_list_;
};

}  // namespace lifeboat::vault
