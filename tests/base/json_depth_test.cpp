#include "base/json_depth.hpp"

#include <gtest/gtest.h>

#include <string>

namespace lifeboat {
namespace {

TEST(JsonDepth, CountsWhatLiesInEachOther) {
  const auto nested = [](std::size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  EXPECT_FALSE(nests_too_deep(nested(kDeepestJson)));
  EXPECT_TRUE(nests_too_deep(nested(kDeepestJson + 1)));
  EXPECT_TRUE(nests_too_deep("{\"a\\\"\":" + nested(kDeepestJson) + "}"));
  EXPECT_FALSE(nests_too_deep("[\"" + std::string(1000, '[') + "\\\"[\"]"));
  std::string many;
  for (int i = 0; i < 1000; ++i) many += "{},";
  EXPECT_FALSE(nests_too_deep("[" + many + "0]"));
}

}  // namespace
}  // namespace lifeboat
