#include "fuzz/targets.hpp"
#include "zookeeper/kafka_nodes.hpp"
#include "zookeeper/tree.hpp"

// The file of a znode tree, and the nodes in which Kafka keeps counters. The first byte says what
// follows.
namespace lifeboat::fuzz {
namespace {

void look(const zookeeper::Znode& node) {
  if (taken([&] { return zookeeper::decode(zookeeper::encode(node)); }) != node) {
    broken("a node is not what was read");
  }
}

// Pieces of any size give the same nodes.
void tree(std::string_view bytes) {
  zookeeper::TreeDecoder whole, pieces;
  whole.feed(bytes);
  const auto piece = 1 + bytes.size() % 61;
  while (const auto node = whole.next()) {
    look(*node);
    auto same = pieces.next();
    for (; !same && !bytes.empty(); same = pieces.next()) {
      pieces.feed(bytes.substr(0, piece));
      bytes.remove_prefix(std::min(piece, bytes.size()));
    }
    if (same != node) broken("another node, in pieces");
  }
  whole.finish();
}

void counter(const char* path, std::string_view data) {
  zookeeper::Znode node;
  node.path = path;
  node.data = std::string(data);
  const auto moved = zookeeper::kafka_moved_ahead(node);
  if (!moved) broken("a counter is not known");
  node.data = *moved;
  try {
    zookeeper::kafka_moved_ahead(node);
  } catch (const Error& error) {
    if (error.code() != Code::unsupported) broken("what was moved ahead is not as Kafka writes it");
  }
}

}  // namespace

void znodes(std::string_view bytes) {
  if (bytes.empty()) return;
  const auto rest = bytes.substr(1);
  switch (static_cast<unsigned char>(bytes[0]) % 5) {
    case 0:
      return look(zookeeper::decode(rest));
    case 1:
      return tree(rest);
    case 2:
      return counter("/latest_producer_id_block", rest);
    case 3:
      return counter("/controller_epoch", rest);
    default:
      return counter("/brokers/topics/t/partitions/0/state", rest);
  }
}

}  // namespace lifeboat::fuzz

LIFEBOAT_FUZZ_TARGET(znodes)
