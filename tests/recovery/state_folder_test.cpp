#include "recovery/state_folder.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>

#include "base/error.hpp"

namespace lifeboat::recovery {
namespace {

struct StateFolder : testing::Test {
  StateFolder() {
    std::string name = std::filesystem::temp_directory_path() / "lifeboat-state-XXXXXX";
    folder = ::mkdtemp(name.data());
  }
  ~StateFolder() override { std::filesystem::remove_all(folder); }
  std::filesystem::path folder;
  Config config;
};

TEST_F(StateFolder, IsMadeWithItsParents) {
  config.state = folder / "a" / "b";
  make_state_folder(config);
  make_state_folder(config);
  EXPECT_TRUE(std::filesystem::is_directory(config.state));
}

// /proc takes no folders, whoever asks; a file is in the way of one.
TEST_F(StateFolder, ThatCannotBeMadeIsNamed) {
  std::ofstream(folder / "file") << "in the way";
  for (const auto& wrong : {std::filesystem::path("/proc/lifeboat/state"), folder / "file",
                            folder / "file" / "state"}) {
    config.state = wrong;
    try {
      make_state_folder(config);
      ADD_FAILURE() << wrong << " was made";
    } catch (const Error& error) {
      EXPECT_EQ(error.subject(), wrong.string());
      EXPECT_NE(error.hint().find("state: "), std::string::npos) << error.hint();
    }
  }
}

}  // namespace
}  // namespace lifeboat::recovery
