#include "vault/work_pool.hpp"

#include <gtest/gtest.h>
#include <pthread.h>

#include "base/error.hpp"

namespace lifeboat::vault {
namespace {

// As long as it lives, no thread can start: none has room for such a stack.
class NoMoreThreads {
 public:
  NoMoreThreads() {
    pthread_getattr_default_np(&before_);
    pthread_attr_t huge = before_;
    EXPECT_EQ(pthread_attr_setstacksize(&huge, std::size_t{1} << 47), 0);
    EXPECT_EQ(pthread_setattr_default_np(&huge), 0);
  }
  ~NoMoreThreads() { pthread_setattr_default_np(&before_); }

 private:
  pthread_attr_t before_{};
};

TEST(WorkPool, FewerThreadsThanWantedDoAllJobs) {
  WorkPool pool(4);
  EXPECT_EQ(pool.later<int>([] { return 1; }).get(), 1);
  NoMoreThreads none;
  for (int i = 0; i < 20; ++i) EXPECT_EQ(pool.later<int>([i] { return i; }).get(), i);
}

TEST(WorkPool, WithNoneItIsAnErrorAndMayBeTriedAgain) {
  WorkPool pool(4);
  {
    NoMoreThreads none;
    EXPECT_THROW(pool.later<int>([] { return 1; }), Error);
  }
  EXPECT_EQ(pool.later<int>([] { return 2; }).get(), 2);
}

}  // namespace
}  // namespace lifeboat::vault
