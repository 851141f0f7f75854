#include "recovery/restore_lock.hpp"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.hpp"

namespace lifeboat::recovery {
namespace {

class Silent : public Reporter {
 public:
  void step_begins(const std::string&, const std::string&) override {}
  void step_ends(const std::string&, double) override {}
  void progress(std::string_view, std::uint64_t, std::uint64_t, std::string_view) override {}
  void note(const std::string& text) override { notes.push_back(text); }
  std::vector<std::string> notes;
};

class Locks : public testing::Test {
 protected:
  Locks() {
    std::string folder = std::filesystem::temp_directory_path() / "lifeboat-lock-XXXXXX";
    config.state = ::mkdtemp(folder.data());
  }
  ~Locks() override { std::filesystem::remove_all(config.state); }
  Config config;
  Random random{1};
  Cancel cancel;
  Silent reporter;
  Context context{config, Clock::real(), random, cancel, reporter};
};

TEST_F(Locks, NoPointDuringARestoreAndNoSecondRestore) {
  {
    auto restore = RestoreLock::for_restore(context);
    EXPECT_FALSE(RestoreLock::for_point(config));
    EXPECT_THROW(RestoreLock::for_restore(context), Error);
  }
  EXPECT_TRUE(RestoreLock::for_point(config));
}

TEST_F(Locks, ARestoreWaitsForAPointAndSaysSo) {
  auto point = RestoreLock::for_point(config);
  ASSERT_TRUE(point);
  EXPECT_TRUE(RestoreLock::for_point(config)) << "points do not keep each other out here";
  cancel.request();
  EXPECT_THROW(RestoreLock::for_restore(context), Error);
  EXPECT_EQ(reporter.notes.size(), 1u);
}

}  // namespace
}  // namespace lifeboat::recovery
