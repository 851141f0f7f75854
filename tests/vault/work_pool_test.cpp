#include "vault/work_pool.hpp"

#include <gtest/gtest.h>

#include "support/no_more_threads.hpp"

namespace lifeboat::vault {
namespace {

using test::NoMoreThreads;

TEST(WorkPool, FewerThreadsThanWantedDoAllJobs) {
  WorkPool pool(4);
  EXPECT_EQ(pool.later<int>([] { return 1; }).get(), 1);
  NoMoreThreads none;
  for (int i = 0; i < 20; ++i) EXPECT_EQ(pool.later<int>([i] { return i; }).get(), i);
}

TEST(WorkPool, WithoutAnyTheCallerDoesThemUntilThereAreSome) {
  WorkPool pool(4);
  const auto worker = [] { return std::this_thread::get_id(); };
  {
    NoMoreThreads none;
    for (int i = 0; i < 20; ++i) {  // more than are queued at most
      EXPECT_EQ(pool.later<std::thread::id>(worker).get(), std::this_thread::get_id());
    }
    auto failed = pool.later<int>([]() -> int { throw std::runtime_error("of the job"); });
    EXPECT_THROW(failed.get(), std::runtime_error);
    pool.wait_until_idle();
  }
  EXPECT_NE(pool.later<std::thread::id>(worker).get(), std::this_thread::get_id());
}

}  // namespace
}  // namespace lifeboat::vault
