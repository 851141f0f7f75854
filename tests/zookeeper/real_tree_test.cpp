// The tree on a real ZooKeeper; each test works below a chroot of its own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "base/error.hpp"
#include "base/random.hpp"
#include "support/stack_fixture.hpp"
#include "tree_support.hpp"
#include "zookeeper/kafka_nodes.hpp"

namespace lifeboat::zookeeper {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Code code_of(const std::function<void()>& what, std::string* text = nullptr) {
  try {
    what();
  } catch (const Error& error) {
    if (text != nullptr) *text = error.what();
    return error.code();
  }
  ADD_FAILURE() << "no Error";
  return Code::failed;
}

RestoreOptions run_of(std::string id) {
  RestoreOptions options;
  options.run = std::move(id);
  return options;
}

class RealTree : public ::testing::Test {
 protected:
  // "127.0.0.1:P/test-3"; the chroot exists when `make` is true.
  Config fresh(bool make = true) {
    auto& stack = test::StackProcess::shared({"zookeeper"});
    static std::atomic<int> count = 0;
    Config config;
    config.connect = stack.info()["zookeeper"]["connect"].get<std::string>();
    const std::string chroot = "/test-" + std::to_string(++count);
    if (make) Hand(config).make(chroot);
    config.connect += chroot;
    return config;
  }
  static Config with_auth(Config config, std::string credential) {
    config.auth = {{"digest", std::move(credential)}};
    return config;
  }
  const Cancel cancel;
};

TEST_F(RealTree, ComesBackAsItWas) {
  const Config source = with_auth(fresh(), "lead:secret");
  const Config target = with_auth(fresh(false), "lead:secret");
  Hand hand(source);
  const std::vector<Acl> mine{{"auth", "", ZOO_PERM_ALL}};
  hand.make("/a", "hello");
  hand.make("/a/b", std::string("\0\xff\n", 3));
  hand.make("/a/b/big", std::string(1'000'000, 'x'));
  hand.make("/a/locked", "1", mine);
  hand.make("/a/locked/child", "2", {{"world", "anyone", ZOO_PERM_READ}});
  hand.make("/a/ip", "", {{"ip", "10.0.0.0/8", ZOO_PERM_READ}, {"world", "anyone", 31}});
  hand.make("/ü", "");
  hand.make_ephemeral("/a/gone");

  const std::vector<Znode> before = dump_all(source);
  std::vector<std::string> paths;
  for (const Znode& node : before) paths.push_back(node.path);
  EXPECT_THAT(paths, ElementsAre("/", "/a", "/a/b", "/a/b/big", "/a/ip", "/a/locked",
                                 "/a/locked/child", "/ü"));
  EXPECT_THAT(before[5].acl[0].id, HasSubstr("lead:"));

  const RestoreResult result = restore_tree(target, cancel, giving(before), run_of("r1"));
  EXPECT_EQ(result.created, 7u);
  EXPECT_EQ(result.present, 1u);  // the root
  EXPECT_EQ(essence(dump_all(target)), essence(before));
}

TEST_F(RealTree, ChildrenOfALockedNodeAreMadeBeforeItIsLocked) {
  // Read as the owner, restored by somebody who cannot create below the locked node.
  const Config source = with_auth(fresh(), "owner:x");
  Hand hand(source);
  hand.make("/locked", "", {{"auth", "", ZOO_PERM_ALL}, {"world", "anyone", ZOO_PERM_READ}});
  hand.make("/locked/child", "c");
  const std::vector<Znode> before = dump_all(source);
  Config target = fresh(false);
  restore_tree(target, cancel, giving(before), run_of("r1"));
  EXPECT_EQ(Hand(target).get("/locked/child"), "c");
  EXPECT_EQ(code_of([&] { Hand(target).make("/locked/other"); }), Code::denied);
  EXPECT_EQ(essence(dump_all(with_auth(target, "owner:x"))), essence(before));
}

TEST_F(RealTree, ARunThatEndedAndDoesNotKnowItEndsAgain) {
  const Config source = with_auth(fresh(), "owner:x");
  Hand hand(source);
  hand.make("/a", "1");
  std::vector<Znode> nodes = dump_all(source);
  nodes.front().acl = {{"world", "anyone", ZOO_PERM_READ}};  // the root's: shuts everybody out
  const Config target = fresh();
  RestoreOptions options = run_of("r1");
  bool remembered = false;
  options.on_whole = [&] {
    remembered = true;
    EXPECT_TRUE(Hand(target).get(std::string(restore_marker)));
  };
  restore_tree(target, cancel, giving(nodes), options);
  ASSERT_TRUE(remembered);
  const auto after = essence(dump_all(target));

  EXPECT_EQ(code_of([&] { restore_tree(target, cancel, giving(nodes), options); }), Code::refused);
  options.whole = true;
  options.on_whole = {};
  restore_tree(target, cancel, giving(nodes), options);
  EXPECT_EQ(essence(dump_all(target)), after);
  EXPECT_FALSE(Hand(target).get(std::string(restore_marker)));
}

TEST_F(RealTree, NamesTheNodeThatMayNotBeRead) {
  const Config source = with_auth(fresh(), "lead:secret");
  Hand hand(source);
  Config other = source;
  other.auth.clear();
  std::string text;

  hand.make("/secret", "", {{"auth", "", ZOO_PERM_ALL}});
  EXPECT_EQ(code_of([&] { dump_all(other); }, &text), Code::denied);
  EXPECT_THAT(text, HasSubstr("/secret"));

  hand.remove("/secret");
  hand.make("/masked", "", {{"auth", "", ZOO_PERM_ALL}, {"world", "anyone", ZOO_PERM_READ}});
  EXPECT_EQ(code_of([&] { dump_all(other); }, &text), Code::denied);
  EXPECT_THAT(text, HasSubstr("/masked"));
}

TEST_F(RealTree, RefusesATargetThatIsNotEmptyAndTouchesNothing) {
  const Config source = fresh();
  Hand(source).make("/x", "1");
  const std::vector<Znode> nodes = dump_all(source);
  const Config target = fresh();
  Hand hand(target);
  hand.make("/mine", "keep");
  std::string text;
  EXPECT_EQ(code_of([&] { restore_tree(target, cancel, giving(nodes), run_of("r1")); }, &text),
            Code::refused);
  EXPECT_THAT(text, HasSubstr("/mine"));
  EXPECT_FALSE(hand.get("/x"));
  EXPECT_FALSE(hand.get(std::string(restore_marker)));

  RestoreOptions options = run_of("r1");
  options.overwrite = true;
  restore_tree(target, cancel, giving(nodes), options);
  EXPECT_EQ(hand.get("/x"), "1");
  EXPECT_EQ(hand.get("/mine"), "keep");
}

TEST_F(RealTree, GoesOnAfterItWasStoppedAnywhere) {
  const std::uint64_t seed = 20'240'611;
  RecordProperty("seed", std::to_string(seed));
  Random random(seed);
  const Config source = with_auth(fresh(), "lead:secret");
  Hand hand(source);
  for (int i = 0; i < 30; ++i) {
    const std::string path = "/n" + std::to_string(i);
    hand.make(path, random.hex(20), i % 3 == 0 ? std::vector<Acl>{{"auth", "", 31}} : open_acl);
    for (int j = 0; j < 20; ++j) hand.make(path + "/" + std::to_string(j), random.hex(8));
  }
  const std::vector<Znode> nodes = dump_all(source);
  for (int round = 0; round < 4; ++round) {
    const Config target = with_auth(fresh(false), "lead:secret");
    for (std::size_t stop = 0; stop < nodes.size(); stop += 1 + random.below(nodes.size() / 2)) {
      EXPECT_EQ(code_of([&] { restore_tree(target, cancel, giving(nodes, stop), run_of("r7")); }),
                Code::cancelled);
      EXPECT_EQ(target_state(target, cancel).unfinished_run, "r7");
    }
    EXPECT_EQ(code_of([&] { restore_tree(target, cancel, giving(nodes), run_of("r8")); }),
              Code::refused);
    restore_tree(target, cancel, giving(nodes), run_of("r7"));
    EXPECT_EQ(essence(dump_all(target)), essence(nodes));
    EXPECT_FALSE(target_state(target, cancel).unfinished_run);
  }
}

TEST_F(RealTree, DoesNotWriteOverWhatSomebodyChangedMeanwhile) {
  const Config source = fresh();
  Hand(source).make("/x", "1");
  Hand(source).make("/y", "2");
  const std::vector<Znode> nodes = dump_all(source);
  const Config target = fresh(false);
  EXPECT_THROW(restore_tree(target, cancel, giving(nodes, 3), run_of("r1")), Error);
  Hand hand(target);
  if (hand.get("/x")) {
    hand.set("/x", "changed");
  } else {
    hand.make("/x", "changed");
  }
  std::string text;
  EXPECT_EQ(code_of([&] { restore_tree(target, cancel, giving(nodes), run_of("r1")); }, &text),
            Code::conflict);
  EXPECT_THAT(text, HasSubstr("/x"));
  EXPECT_EQ(hand.get("/x"), "changed");
}

TEST_F(RealTree, RefusesATreeWithAHole) {
  std::vector<Znode> nodes(2);
  nodes[0] = {"/", "", open_acl, {}, {}, 0};
  nodes[1] = {"/a/b", "", open_acl, {}, {}, 0};
  EXPECT_EQ(code_of([&] { restore_tree(fresh(), cancel, giving(nodes), run_of("r1")); }),
            Code::corrupt);
}

TEST_F(RealTree, LeavesOutAndChangesAndRaisesVersions) {
  const Config source = fresh();
  Hand hand(source);
  for (const char* path : {"/out", "/out/side", "/in", "/seq"}) hand.make(path, "old");
  for (int i = 0; i < 5; ++i) hand.set("/seq", "");
  RestoreOptions options = run_of("r1");
  options.keep = [](const Znode& node) { return node.path != "/out"; };
  options.change = [](const Znode& node) {
    return node.path == "/in" ? std::optional<std::string>("new") : std::nullopt;
  };
  options.keep_version = [](const Znode& node) { return node.path == "/seq"; };
  const Config target = fresh();
  const std::vector<Znode> nodes = dump_all(source);
  EXPECT_EQ(restore_tree(target, cancel, giving(nodes), options).left_out, 2u);
  Hand there(target);
  EXPECT_FALSE(there.get("/out"));
  EXPECT_EQ(there.get("/in"), "new");
  EXPECT_EQ(there.version("/seq"), 5);
}

TEST_F(RealTree, SkeletonOfABrokerIsNoContentAndItsClusterIdIsReplaced) {
  const Config source = fresh();
  const Config target = fresh();
  for (const auto& [config, id] : {std::pair(source, "right"), std::pair(target, "wrong")}) {
    Hand hand(config);
    for (const char* path : {"/brokers", "/brokers/ids", "/brokers/topics", "/cluster"}) {
      hand.make(path);
    }
    hand.make("/cluster/id", id);
    hand.make("/controller_epoch", "3");
  }
  Hand(source).make("/brokers/topics/ev", "{}");
  const std::vector<Znode> nodes = dump_all(source);
  EXPECT_EQ(target_state(target, cancel).found.empty(), false);
  RestoreOptions options = kafka_restore_options("r1");
  EXPECT_TRUE(target_state(target, cancel, options.skeleton).empty);
  restore_tree(target, cancel, giving(nodes), options);
  Hand hand(target);
  EXPECT_EQ(hand.get("/cluster/id"), "right");
  EXPECT_EQ(hand.get("/brokers/topics/ev"), "{}");
  EXPECT_EQ(hand.get("/controller_epoch"), "10003");
  EXPECT_TRUE(hand.get("/brokers/ids"));
  EXPECT_THAT(target_state(target, cancel, options.skeleton).found,
              ElementsAre("/brokers/topics/ev"));
}

TEST_F(RealTree, RefusesWhileABrokerIsRegistered) {
  const Config target = fresh();
  Hand hand(target);
  hand.make("/brokers");
  hand.make("/brokers/ids");
  const std::vector<Znode> nodes = dump_all(target);
  {
    Hand broker(target);
    broker.make_ephemeral("/brokers/ids/0");
    std::string text;
    EXPECT_EQ(
        code_of([&] { restore_tree(target, cancel, giving(nodes), kafka_restore_options("r1")); },
                &text),
        Code::refused);
    EXPECT_THAT(text, HasSubstr("/brokers/ids/0"));
    EXPECT_FALSE(hand.get(std::string(restore_marker)));
  }
  restore_tree(target, cancel, giving(nodes), kafka_restore_options("r1"));
}

TEST_F(RealTree, GatesStayShutUntilAllIsThere) {
  const Config source = fresh();
  Hand hand(source);
  for (const char* path : {"/brokers", "/brokers/ids", "/brokers/topics", "/zz"}) hand.make(path);
  const std::vector<Znode> nodes = dump_all(source);
  const Config target = fresh();
  Hand there(target);
  bool shut = true;
  auto next = giving(nodes);
  auto watched = [&] {
    shut = shut && !there.get("/brokers/ids");
    return next();
  };
  restore_tree(target, cancel, watched, kafka_restore_options("r1"));
  EXPECT_TRUE(shut);
  EXPECT_TRUE(there.get("/brokers/ids"));

  // Somebody makes the gate in the middle: said, and the same run goes on once they are stopped.
  const Config second = fresh();
  Hand meddler(second);
  auto again = giving(nodes);
  bool made = false;
  auto meddled = [&] {
    if (!made && meddler.get("/brokers")) {
      meddler.make("/brokers/ids");
      made = true;
    }
    std::this_thread::yield();
    return again();
  };
  std::vector<Znode> many = nodes;
  for (int i = 0; i < 1000; ++i)
    many.push_back({"/zz/" + std::to_string(i), "", open_acl, {}, {}, 0});
  again = giving(many);
  EXPECT_EQ(code_of([&] { restore_tree(second, cancel, meddled, kafka_restore_options("r1")); }),
            Code::conflict);
  EXPECT_TRUE(made);
  restore_tree(second, cancel, giving(many), kafka_restore_options("r1"));
  EXPECT_EQ(essence(dump_all(second)), essence(many));
}

TEST_F(RealTree, ManyNodesInTheRightOrder) {
  std::vector<Znode> nodes{{"/", "", open_acl, {}, {}, 0}};
  for (int i = 0; i < 25; ++i) {
    const std::string parent = "/t" + std::to_string(1000 + i);
    nodes.push_back({parent, "p", open_acl, {}, {}, 0});
    for (int j = 0; j < 200; ++j) {
      nodes.push_back(
          {parent + "/" + std::to_string(1000 + j), std::string(100, 'd'), open_acl, {}, {}, 0});
    }
  }
  const Config target = fresh();
  restore_tree(target, cancel, giving(nodes), run_of("r1"));
  const std::vector<Znode> got = dump_all(target);
  ASSERT_EQ(got.size(), nodes.size());
  for (std::size_t i = 0; i < got.size(); ++i) ASSERT_EQ(got[i].path, nodes[i].path);
  EXPECT_EQ(essence(got), essence(nodes));
}

TEST_F(RealTree, ReadsLargeNodesAndSaysWhichChangesAreInTheDump) {
  const Config source = fresh();
  Hand hand(source);
  for (int i = 0; i < 24; ++i) {
    hand.make("/big" + std::to_string(i), std::string(1'000'000, static_cast<char>('a' + i % 26)));
  }
  std::uint64_t bytes = 0;
  const DumpResult result =
      dump_tree(source, cancel, [&](const Znode& node) { bytes += node.data.size(); });
  EXPECT_EQ(bytes, 24'000'000u);
  EXPECT_EQ(result.bytes.value, bytes);
  EXPECT_EQ(result.nodes, 25u);
  ASSERT_TRUE(result.start && result.end);
  EXPECT_LE(result.newest, *result.end);
}

TEST_F(RealTree, NodesThatVanishMeanwhileAreLeftOut) {
  const Config source = fresh();
  Hand(source).make("/steady");
  for (int i = 0; i < 300; ++i) Hand(source).make("/s" + std::to_string(i));
  std::atomic<bool> stop = false;
  std::thread churn([&] {
    Hand hand(source);
    for (int i = 0; !stop; ++i) {
      const std::string path = "/s" + std::to_string(i % 300) + "/child";
      hand.make(path, "x");
      hand.remove(path);
    }
  });
  for (int i = 0; i < 20; ++i) {
    const auto nodes = essence(dump_all(source));
    EXPECT_GE(nodes.size(), 302u);
  }
  stop = true;
  churn.join();
}

TEST_F(RealTree, SaysWhenNobodyAnswers) {
  Config config;
  config.connect = "127.0.0.1:1";
  config.connect_timeout = Millis(300);
  const TargetState state = target_state(config, cancel);
  EXPECT_FALSE(state.reachable);
  EXPECT_FALSE(state.reason.empty());
  EXPECT_EQ(code_of([&] { dump_all(config); }), Code::unavailable);
  Config gone = fresh(false);
  EXPECT_EQ(code_of([&] { dump_all(gone); }), Code::not_found);
  config.connect = "/only-a-chroot";
  EXPECT_EQ(code_of([&] { dump_all(config); }), Code::config);
  Cancel stopped;
  stopped.request();
  EXPECT_EQ(code_of([&] { dump_tree(fresh(), stopped, [](const Znode&) {}); }), Code::cancelled);
}

// ZooKeeper is killed while it is read and written; the second call finishes the work.
TEST(RealTreeCrash, SurvivesTheServersDeath) {
  test::StackProcess stack({"zookeeper"});
  Config config;
  config.connect = stack.info()["zookeeper"]["connect"].get<std::string>();
  const Cancel cancel;
  std::vector<Znode> nodes{{"/", "", open_acl, {}, {}, 0}};
  for (int i = 0; i < 6'000; ++i) {
    nodes.push_back(
        {"/n" + std::to_string(100'000 + i), std::string(200, 'd'), open_acl, {}, {}, 0});
  }
  auto next = giving(nodes);
  std::size_t given = 0;
  auto killing = [&] {
    if (++given == 3'000) {
      stack.command("kill zookeeper");
      stack.command("start zookeeper");
    }
    return next();
  };
  try {
    restore_tree(config, cancel, killing, run_of("r1"));
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::unavailable) << error.what();
    restore_tree(config, cancel, giving(nodes), run_of("r1"));
  }
  EXPECT_EQ(essence(dump_all(config)), essence(nodes));  // /zookeeper is not in it

  std::size_t seen = 0;
  try {
    dump_tree(config, cancel, [&](const Znode&) {
      if (++seen == 1000) {
        stack.command("kill zookeeper");
        stack.command("start zookeeper");
      }
    });
    EXPECT_EQ(seen, nodes.size());
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::unavailable) << error.what();
  }
}

}  // namespace
}  // namespace lifeboat::zookeeper
