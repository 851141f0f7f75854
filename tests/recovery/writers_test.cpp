#include "recovery/writers.hpp"

#include <gtest/gtest.h>

#include <optional>

#include "recovery/prune.hpp"
#include "restore_fixture.hpp"
#include "store/forwarding_store.hpp"
#include "store/memory_store.hpp"

namespace lifeboat::recovery {
namespace {

// A server that looks at conditions only while it is `well`.
class Moody : public store::ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  bool well = true;
  std::optional<Code> takes_nothing;
  int conditions = 0;

  void put(const std::string& name, std::string_view bytes) override {
    if (takes_nothing) throw Error(*takes_nothing, name, "is not written");
    ForwardingStore::put(name, bytes);
  }
  store::PutResult put_if_absent(const std::string& name, std::string_view bytes) override {
    ++conditions;
    if (takes_nothing) throw Error(*takes_nothing, name, "is not written");
    if (well) return ForwardingStore::put_if_absent(name, bytes);
    put(name, bytes);
    return store::PutResult::written;
  }
};

struct Writers : testing::Test {
  store::MemoryStore memory;
  Moody store{memory};
  Config config;
  Random random{1};
  Cancel cancel;
  Notes notes;
  Context context{config, Clock::real(), random, cancel, notes};

  bool asked(Ask how) {
    store.conditions = 0;
    ask_writers(context, store, how);
    return store.conditions > 0;
  }
  bool several() { return store::recorded(store).value().several_writers(); }
  void warn() { warn_of_single_writer(context, store); }
};

TEST_F(Writers, AreAskedWhenNothingReadableIsRecorded) {
  warn();
  EXPECT_TRUE(several());
  EXPECT_TRUE(notes.all().empty());
  store.well = false;
  for (const char* damaged : {"", "{\"put_if_absent\":true,\"put_if_unch", "[]"}) {
    memory.put("capabilities", damaged);
    warn();
    EXPECT_FALSE(several()) << damaged;
  }
  memory.remove("capabilities");
  warn();
  EXPECT_FALSE(several());
  EXPECT_EQ(notes.all().size(), 4u);
  for (const auto& note : notes.all()) EXPECT_TRUE(note.starts_with("SINGLE WRITER: ")) << note;
}

TEST_F(Writers, ARecordThatIsWellIsNotAskedForAgainButByCheck) {
  EXPECT_TRUE(asked(Ask::when_unknown));
  EXPECT_FALSE(asked(Ask::when_unknown));
  EXPECT_TRUE(asked(Ask::again));
  store.well = false;
  EXPECT_TRUE(asked(Ask::again));
  EXPECT_FALSE(several());
}

TEST_F(Writers, ANoIsNotLiftedByLuck) {
  store::record(store, {true, false, "two won"});
  EXPECT_FALSE(asked(Ask::when_unknown));
  EXPECT_FALSE(asked(Ask::again));
  EXPECT_FALSE(several());
  store.well = false;
  EXPECT_TRUE(asked(Ask::at_length));
  EXPECT_FALSE(several());
  store.well = true;
  EXPECT_TRUE(asked(Ask::at_length));
  EXPECT_TRUE(several());
}

TEST_F(Writers, ANoOfAnotherMachineMeanwhileStands) {
  class Interrupted : public Moody {
   public:
    using Moody::Moody;
    bool remove(const std::string& name) override {  // the probe's object
      store::record(*this, {false, false, "seen from elsewhere"});
      return Moody::remove(name);
    }
  } other(memory);
  EXPECT_FALSE(ask_writers(context, other, Ask::when_unknown).several_writers());
  EXPECT_FALSE(several());
}

TEST_F(Writers, WhoCannotAskIsASingleWriter) {
  for (const auto code : {Code::no_space, Code::denied}) {
    store.takes_nothing = code;
    warn();
    EXPECT_NE(notes.all().back().find("SINGLE WRITER"), std::string::npos);
    EXPECT_NE(notes.all().back().find("is not written"), std::string::npos);
  }
  EXPECT_EQ(notes.all().size(), 2u);
  config.kafka.emplace().archiver_group = "archivers";
  try {
    warn();
    FAIL() << "several archivers were taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::refused);
  }
}

TEST_F(Writers, PruneAsksThemNothingThatNeedsSpaceOnAFullDisk) {
  vault::Vault::create(memory, Clock::real(), random);
  config.retention.emplace();
  const auto vault = vault::Vault::open(store);
  store.takes_nothing = Code::no_space;
  EXPECT_TRUE(prune(context, vault, {}).report.problems.empty());
  store.takes_nothing = Code::denied;
  EXPECT_THROW(prune(context, vault, {}), Error);
}

TEST_F(Writers, WhoLooksIsTold) {
  EXPECT_NE(single_writer(store).value().find("lifeboat check"), std::string::npos);
  store::record(store, {true, false, "two won"});
  EXPECT_NE(single_writer(store).value().find("two won"), std::string::npos);
  store::record(store, {true, true, ""});
  EXPECT_FALSE(single_writer(store));
}

}  // namespace
}  // namespace lifeboat::recovery
