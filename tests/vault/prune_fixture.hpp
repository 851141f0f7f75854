#pragma once

#include <set>

#include "store/crash_store.hpp"
#include "store/probe.hpp"
#include "vault/prune.hpp"
#include "vault_fixture.hpp"

namespace lifeboat::vault {

using store::Crashed;
using store::CrashStore;

inline constexpr Millis kHour{3'600'000};
inline constexpr Millis kGrace = 24 * kHour;

// A backup in steps, as recovery/backup takes it.
struct Backup {
  Backup(const Vault& v, Clock& clock, Random& random, const std::string& label = "") : vault(v) {
    point.id = make_point_id(clock, random);
    point.created = clock.now();
    point.label = label;
    open_point(vault, {point.id, point.created, label, "db1", "/state", 1, {}, ""});
    ChunkOptions options;
    options.absent = condemned_packs(vault);
    options.clock = &clock;
    options.seed = random.next();
    chunks = std::make_unique<Chunks>(vault, std::move(options));
  }

  // One pack a snapshot: what of these files is not there yet.
  void save(const std::vector<std::string>& files) {
    SnapshotWriter tree(*chunks, "test");
    for (const auto& file : files) tree.add_file(file, 0600, Timestamp(0), "content of " + file);
    auto id = tree.finish({{"point", point.id}});
    point.stores["store" + std::to_string(point.stores.size())] = {{"snapshot", id.hex()},
                                                                   {"backup", point.id}};
  }

  void publish() {
    point.finished = point.created + 1;
    publish_point(vault, point);
  }

  Vault vault;
  RecoveryPoint point;
  std::unique_ptr<Chunks> chunks;
};

struct PruneTest : VaultTest {
  std::set<std::string> removed_outside;

  std::string take(const std::vector<std::string>& files, const std::string& label = "") {
    return take(vault, files, label);
  }
  std::string take(const Vault& into, const std::vector<std::string>& files,
                   const std::string& label = "") {
    clock.advance(kHour);
    Backup backup(into, clock, random, label);
    backup.save(files);
    backup.publish();
    return backup.point.id;
  }

  PruneOptions options(unsigned last = 1) {
    PruneOptions out;
    out.policy.last = last;
    out.grace = kGrace;
    out.host = "pruner";
    out.outside = [](const RecoveryPoint& point) {
      std::vector<std::string> names;
      for (const auto& [_, document] : point.stores.items()) {
        names.push_back("outside-" + document.at("backup").get<std::string>());
      }
      return names;
    };
    out.remove_outside = [this](const std::string& name) { removed_outside.insert(name); };
    return out;
  }
  PruneReport prune_now(const PruneOptions& with) {
    return prune(vault, with, clock, random, cancel);
  }
  PruneReport prune_now(unsigned last = 1) { return prune_now(options(last)); }
  // Runs until nothing is left to be finished.
  void prune_all(unsigned last = 1) {
    for (int i = 0; i < 6; ++i) {
      prune_now(last);
      clock.advance(kGrace);
    }
    EXPECT_TRUE(list_words(vault).empty());
  }

  std::size_t packs() { return objects_of(store, "packs/").size(); }

  // Every point that is there can be read, to the last byte.
  void expect_whole() {
    auto report = verify_all();
    for (const auto& damage : report.damages) {
      ADD_FAILURE() << damage.object << ": " << damage.problem;
    }
    for (const auto& listed : list_points(vault)) {
      ASSERT_TRUE(listed.point);
      for (const auto& id : snapshots_of(*listed.point)) {
        SnapshotReader reader(vault, id);
        reader.for_each([&](const Entry& entry) {
          std::string bytes;
          reader.read_file(entry, [&](std::string_view part) { bytes += part; });
          EXPECT_EQ(bytes, "content of " + entry.path);
        });
      }
    }
  }
};

// Who uses it sleeps before the first such call while others go on, and wakes up.
class Sleeper : public store::AroundStore {
 public:
  explicit Sleeper(store::ObjectStore& inner, store::Op op = store::Op::remove,
                   std::string prefix = "packs/")
      : AroundStore(inner), op_(op), prefix_(std::move(prefix)) {}
  std::function<void()> meanwhile;

 private:
  void around(store::Call& call, const Answer&, const std::function<void()>& pass_on) override {
    if (call.op == op_ && call.name.starts_with(prefix_)) {
      if (auto once = std::exchange(meanwhile, nullptr)) once();
    }
    pass_on();
  }
  store::Op op_;
  std::string prefix_;
};

}  // namespace lifeboat::vault
