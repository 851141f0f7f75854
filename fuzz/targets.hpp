#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.hpp"

// What reads bytes from outside: any bytes must give a value or a lifeboat::Error, never a crash, a
// hang or much memory. Each target lives in a file of its own, is run by driver_test.cpp with seeds
// and mutations, and can be built as a libFuzzer program (README.md).
namespace lifeboat::fuzz {

using Target = void (*)(std::string_view bytes);

// Runs the target; an Error is an answer, and gives false. Anything else that is thrown passes.
bool run(Target target, std::string_view bytes);

// std::abort() with the message: something that must hold did not.
[[noreturn]] void broken(const char* what);

// What was taken and written again must be taken again: an Error is no answer here.
template <typename F>
auto taken(F&& read) -> decltype(read()) {
  try {
    return read();
  } catch (const Error& error) {
    broken(error.what());
  }
}

// Kafka
void batches(std::string_view bytes);
void records(std::string_view bytes);
void compression(std::string_view bytes);
void answers(std::string_view bytes);
void translation(std::string_view bytes);
void checkpoints(std::string_view bytes);
void scram(std::string_view bytes);
// The vault's objects
void roots(std::string_view bytes);
void keys(std::string_view bytes);
void packs(std::string_view bytes);
void snapshots(std::string_view bytes);
void entries(std::string_view bytes);
void logbook(std::string_view bytes);
void summaries(std::string_view bytes);
void points(std::string_view bytes);
void words(std::string_view bytes);
void pruned(std::string_view bytes);
void pins(std::string_view bytes);
void proofs(std::string_view bytes);
void sealed(std::string_view bytes);
// Stores, and what is kept beside the vault
void listings(std::string_view bytes);
void capabilities(std::string_view bytes);
void known_locks(std::string_view bytes);
// What the vault's objects hold
void attributes(std::string_view bytes);
void log_names(std::string_view bytes);
void documents(std::string_view bytes);
void plans(std::string_view bytes);
void znodes(std::string_view bytes);
// PostgreSQL and ClickHouse
void archives(std::string_view bytes);
void control(std::string_view bytes);
void histories(std::string_view bytes);
void paths(std::string_view bytes);
void definitions(std::string_view bytes);
void backup_lists(std::string_view bytes);

}  // namespace lifeboat::fuzz

#ifdef LIFEBOAT_LIBFUZZER
#define LIFEBOAT_FUZZ_TARGET(name)                                                          \
  extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {       \
    lifeboat::fuzz::run(lifeboat::fuzz::name, {reinterpret_cast<const char*>(data), size}); \
    return 0;                                                                               \
  }
#else
#define LIFEBOAT_FUZZ_TARGET(name)
#endif
