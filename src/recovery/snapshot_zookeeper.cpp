#include "recovery/backup.hpp"
#include "vault/snapshot.hpp"
#include "zookeeper/tree.hpp"

namespace lifeboat::recovery {

nlohmann::json snapshot_zookeeper(const Context& c, vault::Chunks& chunks,
                                  const std::string& point) {
  vault::SnapshotWriter writer(chunks, "znodes");
  writer.begin_file("znodes.jsonl", 0600, c.clock.now());
  auto result = zookeeper::dump_tree(zookeeper_config(c.config), c.cancel, [&](const auto& node) {
    writer.data(zookeeper::encode(node));
  });
  writer.end_file();
  nlohmann::json document = {
      {"nodes", result.nodes}, {"bytes", result.bytes.value}, {"newest_zxid", result.newest.value}};
  if (result.start) document["start_zxid"] = result.start->value;
  if (result.end) document["end_zxid"] = result.end->value;
  document["point"] = point;
  document["snapshot"] = writer.finish(document).hex();
  return document;
}

}  // namespace lifeboat::recovery
