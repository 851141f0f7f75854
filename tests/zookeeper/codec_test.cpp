#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "base/error.hpp"
#include "zookeeper/tree.hpp"

namespace lifeboat::zookeeper {
namespace {

Znode sample() {
  Znode node;
  node.path = "/config/users/ä b";
  node.data = std::string("\0\xff{\"version\":1}\n", 16);
  node.acl = {{"world", "anyone", 1}, {"digest", "lead:uGxP6sdMVB2Y7Jd+E1pGWYOVFuc=", 31}};
  node.created = Zxid(0x100000007);
  node.modified = Zxid(0x200000009);
  node.version = 12;
  return node;
}

TEST(Codec, GivesBackWhatItTook) {
  std::mt19937_64 engine(7);
  for (std::size_t size : {0, 1, 2, 3, 4, 255, 1000, 70'000}) {
    Znode node = sample();
    node.data.resize(size);
    for (char& c : node.data) c = static_cast<char>(engine());
    const std::string line = encode(node);
    EXPECT_EQ(line.find('\n'), line.size() - 1);
    EXPECT_EQ(decode(line), node);
  }
}

TEST(Codec, RefusesALineThatIsCutAnywhere) {
  const std::string line = encode(sample());
  for (std::size_t size = 0; size + 1 < line.size(); ++size) {
    EXPECT_THROW(decode(line.substr(0, size)), Error) << size;
  }
}

TEST(Codec, NeverCrashesOnFlippedBits) {
  const std::string line = encode(sample());
  for (std::size_t bit = 0; bit < line.size() * 8; ++bit) {
    std::string bad = line;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    try {
      decode(bad);  // a flip in a name or in base64 may give another sound node
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::corrupt) << error.what();
    }
  }
}

TEST(Codec, RefusesHostileLines) {
  const char* lines[] = {
      "",
      "[]",
      "null",
      "{}",
      R"({"path":"/a","data":5,"acl":[],"czxid":0,"mzxid":0,"version":0})",
      R"({"path":"/a","data":"","acl":[],"czxid":0,"mzxid":0,"version":0})",
      R"({"path":"/a","data":"A","acl":[{"scheme":"world","id":"anyone","perms":31}],"czxid":0,"mzxid":0,"version":0})",
      R"({"path":"/a","data":"AA=A","acl":[{"scheme":"world","id":"anyone","perms":31}],"czxid":0,"mzxid":0,"version":0})",
      R"({"path":"/a","data":"AAAA ","acl":[{"scheme":"world","id":"anyone","perms":31}],"czxid":0,"mzxid":0,"version":0})",
      R"({"path":"/a","data":"","acl":[{"scheme":"world","id":"anyone","perms":32}],"czxid":0,"mzxid":0,"version":0})",
      R"({"path":"/a","data":"","acl":[{"scheme":"","id":"anyone","perms":1}],"czxid":0,"mzxid":0,"version":0})",
      R"({"path":"/a/../b","data":"","acl":[{"scheme":"world","id":"anyone","perms":31}],"czxid":0,"mzxid":0,"version":0})",
  };
  for (const char* line : lines) EXPECT_THROW(decode(line), Error) << line;
  EXPECT_THROW(decode(std::string(200'000, '[')), Error);
}

TEST(Paths, OnlyThoseThatZooKeeperTakes) {
  for (const char* path : {"/", "/a", "/a/b", "/a b/c.d", "/zookeeper", "/...", "/ä"}) {
    EXPECT_NO_THROW(check_path(path)) << path;
  }
  for (const char* path : {"", "a", "//", "/a/", "/a//b", "/.", "/a/..", "/a\n", "/\x7f"}) {
    EXPECT_THROW(check_path(path), Error) << path;
  }
}

TEST(Decoder, TakesPiecesOfAnySize) {
  std::string bytes;
  std::vector<Znode> nodes;
  for (int i = 0; i < 20; ++i) {
    Znode node = sample();
    node.path = "/n" + std::to_string(i);
    node.data.assign(static_cast<std::size_t>(i) * 37, 'x');
    bytes += encode(node);
    nodes.push_back(std::move(node));
  }
  for (std::size_t piece : {1u, 7u, 100u, 100'000u}) {
    TreeDecoder decoder;
    std::vector<Znode> got;
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
      decoder.feed(std::string_view(bytes).substr(at, piece));
      while (auto node = decoder.next()) got.push_back(std::move(*node));
    }
    decoder.finish();
    EXPECT_EQ(got, nodes) << piece;
  }
}

TEST(Decoder, SaysWhenTheStreamEndsWithinALine) {
  TreeDecoder decoder;
  decoder.feed(encode(sample()) + "{\"path\"");
  EXPECT_TRUE(decoder.next());
  EXPECT_FALSE(decoder.next());
  EXPECT_THROW(decoder.finish(), Error);
}

}  // namespace
}  // namespace lifeboat::zookeeper
