#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>

#include "base/bytes.hpp"
#include "fuzz/mutator.hpp"
#include "fuzz/subjects.hpp"

// Mutations come from a generator whose seed is $LIFEBOAT_SEED, else 1. Built with AddressSanitizer
// and UndefinedBehaviorSanitizer, which also refuse large allocations (below). What fails is
// printed with the seed and its bytes.

extern "C" const char* __asan_default_options() {
  return "max_allocation_size_mb=64:hard_rss_limit_mb=768:quarantine_size_mb=64:detect_leaks=0:"
         "abort_on_error=0";
}
extern "C" const char* __ubsan_default_options() {
  return "print_stacktrace=1";
}
extern "C" void __sanitizer_set_death_callback(void (*callback)());

namespace lifeboat::fuzz {
namespace {

constexpr unsigned kMostSeconds = 180;  // for a whole target, on a busy machine too

struct Current {
  const char* target = "";
  std::uint64_t seed = 0;
  std::uint64_t number = 0;
  std::string bytes;
} current;

void tell() {
  std::fprintf(stderr, "\nfuzz: target %s, LIFEBOAT_SEED=%llu, input %llu: %s\n", current.target,
               static_cast<unsigned long long>(current.seed),
               static_cast<unsigned long long>(current.number), to_hex(current.bytes).c_str());
}
void tell_and_end(int) {
  tell();
  _exit(1);
}

std::uint64_t chosen_seed() {
  const char* given = std::getenv("LIFEBOAT_SEED");
  return given == nullptr ? 1 : std::strtoull(given, nullptr, 10);
}

std::vector<Subject> all_subjects() {
  auto all = kafka_subjects();
  for (const auto& more : {vault_subjects(), document_subjects(), server_subjects()}) {
    all.insert(all.end(), more.begin(), more.end());
  }
  return all;
}

struct Fuzz : testing::TestWithParam<Subject> {
  void SetUp() override {
    current = {GetParam().name, chosen_seed(), 0, {}};
    __sanitizer_set_death_callback(tell);
    std::signal(SIGALRM, tell_and_end);  // a hang
    std::signal(SIGABRT, tell_and_end);  // broken()
    alarm(kMostSeconds);
  }
  void TearDown() override { alarm(0); }
};

TEST_P(Fuzz, AnyBytesGiveAValueOrAnError) {
  const auto& subject = GetParam();
  const auto seeds = subject.seeds();
  for (const auto& seed : seeds) {
    current.bytes = seed;
    EXPECT_NO_THROW(subject.target(seed)) << to_hex(seed);
  }
  Mutator mutator(current.seed, seeds);
  int good = 0;
  for (; current.number < static_cast<std::uint64_t>(subject.inputs); ++current.number) {
    current.bytes = mutator.next();
    try {
      good += run(subject.target, current.bytes) ? 1 : 0;
    } catch (const std::exception& thrown) {
      tell();
      FAIL() << "not an Error: " << thrown.what();
    }
  }
  std::printf("%s: LIFEBOAT_SEED=%llu, %d of %d inputs taken\n", subject.name,
              static_cast<unsigned long long>(current.seed), good, subject.inputs);
  // Else all ended at the first check, or nothing is refused.
  EXPECT_GT(good, subject.inputs / 1000);
  EXPECT_LT(good, subject.inputs);
}

INSTANTIATE_TEST_SUITE_P(Targets, Fuzz, testing::ValuesIn(all_subjects()),
                         [](const auto& tested) { return std::string(tested.param.name); });

// "| `keys/<16 hex>` | 7 key | …": the table in docs/format.md.
std::set<std::string> documented_types() {
  std::ifstream page(LIFEBOAT_SOURCE_DIR "/docs/format.md");
  std::set<std::string> out;
  for (std::string line; std::getline(page, line) && !line.starts_with("## ");) {
    std::istringstream row(line);
    std::string mark, name, number, type;
    if (row >> mark && mark == "|" && row >> name && name.starts_with('`')) {
      while (row >> mark && mark != "|") {
      }
      if (row >> number >> type) out.insert(type);
    }
  }
  return out;
}

TEST(FuzzTargets, EveryTypeOfObjectHasOne) {
  std::set<std::string> read;
  for (const auto& subject : all_subjects()) read.emplace(subject.object);
  read.erase("");
  const auto documented = documented_types();
  EXPECT_GT(documented.size(), 5u);
  EXPECT_EQ(read, documented);
}

TEST(FuzzTargets, EveryOneThatIsBuiltIsRun) {
  std::istringstream names(LIFEBOAT_FUZZ_TARGETS);
  std::set<std::string> built, ran;
  for (std::string name; std::getline(names, name, ' ');) built.insert(name);
  for (const auto& subject : all_subjects()) ran.emplace(subject.name);
  EXPECT_EQ(ran, built);
}

}  // namespace
}  // namespace lifeboat::fuzz
