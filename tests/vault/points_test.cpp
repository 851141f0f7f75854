#include "vault/points.hpp"

#include "store/forwarding_store.hpp"
#include "store/probe.hpp"
#include "vault_fixture.hpp"

namespace lifeboat::vault {
namespace {

struct PointsTest : VaultTest {
  RecoveryPoint take(const std::string& label) {
    clock.advance(Millis(60'000));
    RecoveryPoint point;
    point.id = make_point_id(clock, random);
    point.created = clock.now();
    point.finished = clock.now() + 500;
    point.label = label;
    point.stores = {{"postgres", {{"lsn", "0/1"}}}};
    write_point(vault, point);
    return point;
  }
};

TEST_P(PointsTest, RoundTripAndOrder) {
  EXPECT_TRUE(list_points(vault).empty());
  auto first = take("first \xc3\xa4");
  auto second = take("");
  auto listed = list_points(vault);
  ASSERT_EQ(listed.size(), 2u);
  EXPECT_EQ(listed[0].id, first.id);
  EXPECT_EQ(listed[0].point->label, "first \xc3\xa4");
  EXPECT_EQ(listed[0].point->created, first.created);
  EXPECT_EQ(listed[0].point->finished, first.finished);
  EXPECT_EQ(listed[0].point->stores, first.stores);
  EXPECT_EQ(read_point(vault, second.id).id, second.id);
  EXPECT_EQ(error_of([&] { read_point(vault, "none"); }).code(), Code::not_found);
}

// They are read several at a time.
TEST_P(PointsTest, ManyAreListedInOrderEachAsItIs) {
  std::vector<std::string> whole, open;
  for (int i = 0; i < 90; ++i) {
    const auto point = take(std::to_string(i));
    whole.push_back(point.id);
    if (i % 9 == 0) {
      auto bytes = store.get(point_name(point.id)).value();
      bytes.back() = static_cast<char>(bytes.back() ^ 1);
      store.put(point_name(point.id), bytes);
    }
    if (i % 4 != 0) continue;
    clock.advance(Millis(1));
    open.push_back(make_point_id(clock, random));
    open_point(vault, {open.back(), clock.now(), "", "host", "/state", 1, {}, ""});
  }
  const auto all = list_all_points(vault);
  ASSERT_EQ(all.points.size(), whole.size());
  for (std::size_t i = 0; i < whole.size(); ++i) {
    EXPECT_EQ(all.points[i].id, whole[i]);
    EXPECT_EQ(all.points[i].point.has_value(), i % 9 != 0) << i;
    EXPECT_EQ(all.points[i].problem.empty(), i % 9 != 0) << i;
    if (all.points[i].point) {
      EXPECT_EQ(all.points[i].point->label, std::to_string(i));
    }
  }
  ASSERT_EQ(all.unfinished.size(), open.size());
  for (std::size_t i = 0; i < open.size(); ++i) EXPECT_EQ(all.unfinished[i].id, open[i]);
}

TEST_P(PointsTest, AnIdIsNotWrittenTwice) {
  auto point = take("one");
  EXPECT_NO_THROW(write_point(vault, point));  // the same again: an answer was lost
  point.label = "other";
  EXPECT_EQ(error_of([&] { write_point(vault, point); }).code(), Code::conflict);
  EXPECT_EQ(read_point(vault, point.id).label, "one");
}

TEST_P(PointsTest, WhatCannotBeReadBackIsNotWritten) {
  RecoveryPoint point;
  point.id = "p";
  point.stores = {{"postgres", {{"snapshot", "not an id"}}}};
  EXPECT_THROW(write_point(vault, point), Error);
  point.stores = {{"postgres", {{"logs", {{{"log", "x"}}}}}}};
  EXPECT_THROW(write_point(vault, point), Error);
  point.stores = nlohmann::json::object();
  point.label = "\xff not UTF-8";
  EXPECT_THROW(write_point(vault, point), Error);
  point.label = "";
  for (std::string id : {"", "a/b", "../vault", ".x"}) {
    point.id = id;
    EXPECT_THROW(write_point(vault, point), Error) << id;
  }
  EXPECT_TRUE(list_points(vault).empty());
}

TEST_P(PointsTest, StoresThatAreNoObjectOrNestWithoutEndAreCorrupt) {
  const auto deep = std::string(200'000, '[') + std::string(200'000, ']');
  for (const std::string& stores :
       {std::string("null"), std::string("[]"), "{\"x\":" + deep + "}"}) {
    const auto payload =
        R"({"id":"p","created":"2026-11-22T17:05:06Z","finished":"2026-11-22T17:05:06Z","label":"",)"
        R"("stores":)" +
        stores + "}";
    const auto object = seal(vault.sealing(), ObjectType::point, point_name("p"), payload);
    try {
      open_point_object(vault.sealing(), "p", object);
      ADD_FAILURE() << "was taken";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::corrupt);
    }
  }
}

TEST_P(PointsTest, Resolve) {
  EXPECT_EQ(error_of([&] { resolve_point(vault, "latest"); }).code(), Code::not_found);
  auto first = take("1");
  auto second = take("2");
  EXPECT_EQ(resolve_point(vault, "latest").id, second.id);
  EXPECT_EQ(resolve_point(vault, first.id).id, first.id);
  EXPECT_EQ(resolve_point(vault, first.id.substr(0, first.id.size() - 2)).id, first.id);
  auto several = error_of([&] { resolve_point(vault, "20261122T"); });
  EXPECT_EQ(several.code(), Code::usage);
  EXPECT_NE(several.message().find(first.id), std::string::npos);
  EXPECT_EQ(error_of([&] { resolve_point(vault, "1999"); }).code(), Code::not_found);
  EXPECT_EQ(resolve_point(vault, to_string(first.created)).id, first.id);
  EXPECT_EQ(resolve_point(vault, "2026-11-22 17:07:00").id, first.id);
  EXPECT_EQ(resolve_point(vault, "2026-11-22 19:08:07 +02:00").id, second.id);
  EXPECT_EQ(error_of([&] { resolve_point(vault, "2020-01-01 00:00:00"); }).code(), Code::not_found);
}

TEST_P(PointsTest, ABrokenOneIsListedAndNotReplacedSilently) {
  auto first = take("1");
  auto second = take("2");
  auto bytes = *store.get(point_name(second.id));
  store.put(point_name(second.id), bytes.substr(0, 40));
  auto listed = list_points(vault);
  ASSERT_EQ(listed.size(), 2u);
  EXPECT_TRUE(listed[0].point);
  EXPECT_FALSE(listed[1].point);
  EXPECT_EQ(listed[1].id, second.id);
  EXPECT_NE(listed[1].problem.find(second.id), std::string::npos);
  auto error = error_of([&] { resolve_point(vault, "latest"); });
  EXPECT_EQ(error.code(), Code::corrupt);
  EXPECT_NE(error.hint().find(first.id), std::string::npos);
  // It may be whole, and the newest there is.
  store.put(point_name(second.id), as_newer_version(point_name(second.id), bytes));
  error = error_of([&] { resolve_point(vault, "latest"); });
  EXPECT_EQ(error.code(), Code::unsupported);
  EXPECT_TRUE(error.hint().starts_with("install the Lifeboat that wrote it")) << error.hint();
  EXPECT_NE(error.hint().find(first.id), std::string::npos);
  EXPECT_EQ(resolve_point(vault, first.id).id, first.id);
}

TEST_P(PointsTest, SwappedPointsAreRefused) {
  auto first = take("1");
  auto second = take("2");
  store.put(point_name(second.id), *store.get(point_name(first.id)));
  EXPECT_EQ(error_of([&] { read_point(vault, second.id); }).code(), Code::corrupt);
}

// A point that is being taken.
UnfinishedPoint opened(const RecoveryPoint& point) {
  return {point.id, point.created, point.label, "db1", "/var/lib/lifeboat", 4711, {}, ""};
}

struct OpenPoints : PointsTest {
  OpenPoints() { begin(); }
  void begin() {
    clock.advance(Millis(1000));
    point.id = make_point_id(clock, random);
    point.created = clock.now();
    point.finished = clock.now() + 1;
    point.stores = {{"zookeeper", {{"nodes", 1}}}};
    open_point(vault, opened(point));
  }
  RecoveryPoint point;
};

TEST_P(OpenPoints, AnOpenOneIsNoPoint) {
  auto all = list_all_points(vault);
  EXPECT_TRUE(all.points.empty());
  ASSERT_EQ(all.unfinished.size(), 1u);
  EXPECT_EQ(all.unfinished[0].host, "db1");
  EXPECT_EQ(all.unfinished[0].folder, "/var/lib/lifeboat");
  EXPECT_EQ(all.unfinished[0].process, 4711);
  EXPECT_FALSE(all.unfinished[0].revoked);
  for (const auto& words : {std::string("latest"), point.id}) {
    EXPECT_EQ(error_of([&] { resolve_point(vault, words); }).code(), Code::not_found);
  }
  auto error = error_of([&] { read_point(vault, point.id); });
  EXPECT_EQ(error.code(), Code::not_found);
  EXPECT_NE(error.message().find("is being taken since"), std::string::npos);
  auto report = verify_all();
  EXPECT_TRUE(report.good());
  EXPECT_EQ(report.points, 0u);
  auto other = opened(point);
  other.host = "db2";
  EXPECT_EQ(error_of([&] { open_point(vault, other); }).code(), Code::conflict);
}

TEST_P(OpenPoints, IsPublishedOnce) {
  publish_point(vault, point);
  publish_point(vault, point);  // the answer was lost
  EXPECT_EQ(resolve_point(vault, "latest").stores, point.stores);
  EXPECT_TRUE(list_all_points(vault).unfinished.empty());
  EXPECT_EQ(revoke_point(vault, point.id, clock.now(), "x"), Revoked::published);
  EXPECT_EQ(withdraw_point(vault, point.id, clock.now()), Revoked::published);
  EXPECT_EQ(read_point(vault, point.id).stores, point.stores);
}

TEST_P(OpenPoints, ARevokedOneNeverBecomesAPoint) {
  EXPECT_EQ(revoke_point(vault, point.id, clock.now(), "it slept"), Revoked::now);
  EXPECT_EQ(revoke_point(vault, point.id, clock.now(), "again"), Revoked::before);
  auto error = error_of([&] { publish_point(vault, point); });
  EXPECT_EQ(error.code(), Code::conflict);
  EXPECT_NE(error.message().find("it slept"), std::string::npos);
  EXPECT_NE(error.hint().find("lifeboat backup"), std::string::npos);
  auto unfinished = list_all_points(vault).unfinished;
  ASSERT_EQ(unfinished.size(), 1u);
  EXPECT_EQ(unfinished[0].revoked, clock.now());
  EXPECT_EQ(withdraw_point(vault, point.id, clock.now()), Revoked::before);
  EXPECT_TRUE(objects_of(store, "points/").empty());
  EXPECT_EQ(withdraw_point(vault, point.id, clock.now()), Revoked::gone);
  EXPECT_EQ(error_of([&] { publish_point(vault, point); }).code(), Code::conflict);
}

// Somebody else is faster between looking and swapping.
class Overtaken : public store::ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  std::function<void()> overtake;
  store::PutResult put_if_unchanged(const std::string& name, std::string_view bytes,
                                    const std::string& version) override {
    if (auto first = std::exchange(overtake, nullptr)) first();
    return ForwardingStore::put_if_unchanged(name, bytes, version);
  }
};

TEST_P(OpenPoints, OfPublishingAndRevokingOneWins) {
  Overtaken slow(store);
  slow.overtake = [&] { revoke_point(vault, point.id, clock.now(), "overtaken"); };
  EXPECT_EQ(error_of([&] { publish_point(open(slow), point); }).code(), Code::conflict);
  EXPECT_TRUE(list_points(vault).empty());
  begin();
  slow.overtake = [&] { publish_point(vault, point); };
  EXPECT_EQ(revoke_point(open(slow), point.id, clock.now(), "late"), Revoked::published);
  begin();
  slow.overtake = [&] { publish_point(vault, point); };
  EXPECT_EQ(withdraw_point(open(slow), point.id, clock.now()), Revoked::published);
  EXPECT_EQ(read_point(vault, point.id).id, point.id);
}

// Whoever looked long ago and then slept does not revoke a backup that has given a sign of life
// since.
TEST_P(OpenPoints, OneThatIsAliveIsNotTakenForDead) {
  const auto looked = clock.now();
  clock.advance(Millis(1000));
  Overtaken slow(store);
  slow.overtake = [&] { EXPECT_TRUE(renew_point(vault, point.id, clock.now())); };
  EXPECT_EQ(revoke_point(open(slow), point.id, clock.now(), "late", looked), Revoked::alive);
  EXPECT_EQ(revoke_point(vault, point.id, clock.now(), "late", looked), Revoked::alive);
  EXPECT_EQ(revoke_point(vault, point.id, clock.now(), "dead", clock.now()), Revoked::now);
}

// A server that takes no condition has one writer.
TEST_P(OpenPoints, WithoutCompareAndSwap) {
  class NoSwap : public store::ForwardingStore {
   public:
    using ForwardingStore::ForwardingStore;
    store::PutResult put_if_unchanged(const std::string&, std::string_view,
                                      const std::string&) override {
      throw Error(Code::failed, "the store", "knows no conditions");
    }
  } simple(store);
  EXPECT_EQ(error_of([&] { publish_point(open(simple), point); }).code(), Code::failed);
  store::record(simple, {false, false, "was seen to have none"});
  publish_point(open(simple), point);
  EXPECT_EQ(read_point(vault, point.id).id, point.id);
}

TEST_P(PointsTest, ReferencesAreFoundAtAnyDepth) {
  RecoveryPoint point;
  auto a = SnapshotId{sha256("a")}, b = SnapshotId{sha256("b")};
  point.stores = {
      {"postgres",
       {{"snapshot", a.hex()},
        {"logs", {{{"log", "postgres/1/00000001"}, {"position", 100}, {"until", 200}}}}}},
      {"kafka", {{"parts", {{{"snapshot", b.hex()}}}}, {"logs", nlohmann::json::array()}}}};
  auto snapshots = snapshots_of(point);
  EXPECT_EQ(std::set<SnapshotId>(snapshots.begin(), snapshots.end()), (std::set{a, b}));
  auto logs = logs_of(point);
  ASSERT_EQ(logs.size(), 1u);
  EXPECT_EQ(logs[0].log.value, "postgres/1/00000001");
  EXPECT_EQ(logs[0].position, Position(100));
  EXPECT_EQ(logs[0].until, Position(200));
}

LIFEBOAT_ON_BOTH_KINDS(PointsTest);
LIFEBOAT_ON_BOTH_KINDS(OpenPoints);

}  // namespace
}  // namespace lifeboat::vault
