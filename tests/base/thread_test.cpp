#include "base/thread.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <optional>
#include <vector>

#include "support/no_more_threads.hpp"

namespace lifeboat {
namespace {

using test::NoMoreThreads;

TEST(Threads, OneThatCannotStartIsAnErrorThatNamesItsWork) {
  const NoMoreThreads none;
  for (const auto& start : {std::function<void()>([] { start_thread("archiving", [] {}).join(); }),
                            std::function<void()>([] { require_threads(3, "archiving"); })}) {
    try {
      start();
      FAIL() << "a thread was started";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::failed);
      EXPECT_EQ(error.subject(), "archiving");
      EXPECT_NE(error.hint().find("ulimit -u"), std::string::npos) << error.hint();
    }
  }
}

TEST(Threads, WhatIsRequiredIsGivenBack) {
  for (int i = 0; i < 20; ++i) require_threads(10, "trying");
}

TEST(Threads, EachIndexOnceOnHoweverManyThreadsThereAre) {
  for (const bool limited : {false, true}) {
    std::optional<NoMoreThreads> none;
    if (limited) none.emplace();
    for (std::size_t count : {0, 1, 3, 1000}) {
      for (std::size_t threads : {0, 1, 2, 5}) {
        std::vector<std::atomic<int>> seen(count);
        for_each_index(count, threads, [&](std::size_t i) { ++seen[i]; });
        for (const auto& times : seen) EXPECT_EQ(times, 1) << count << " on " << threads;
      }
    }
  }
}

TEST(Threads, TheFirstFailureEndsTheOthersAndIsThrown) {
  for (std::size_t threads : {1, 4}) {
    std::atomic<std::size_t> begun = 0;
    EXPECT_THROW(for_each_index(100'000, threads,
                                [&](std::size_t i) {
                                  ++begun;
                                  if (i == 5) throw Error(Code::corrupt, "five", "is wrong");
                                }),
                 Error);
    EXPECT_LT(begun, 100'000u) << threads;
  }
}

}  // namespace
}  // namespace lifeboat
