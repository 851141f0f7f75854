#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

// What reads bytes from outside: any bytes must give a value or a lifeboat::Error, never a crash, a
// hang or much memory. Each target lives in a file of its own, is run by driver_test.cpp with seeds
// and mutations, and can be built as a libFuzzer program (README.md).
namespace lifeboat::fuzz {

using Target = void (*)(std::string_view bytes);

// Runs the target; an Error is an answer. Anything else that is thrown passes.
void run(Target target, std::string_view bytes);

// std::abort() with the message: something that must hold did not.
[[noreturn]] void broken(const char* what);

void batches(std::string_view bytes);
void records(std::string_view bytes);
void compression(std::string_view bytes);
void answers(std::string_view bytes);
void logbook(std::string_view bytes);
void packs(std::string_view bytes);
void entries(std::string_view bytes);
void sealed(std::string_view bytes);
void keys(std::string_view bytes);
void proofs(std::string_view bytes);
void pins(std::string_view bytes);
void points(std::string_view bytes);
void translation(std::string_view bytes);
void attributes(std::string_view bytes);
void summaries(std::string_view bytes);
void listings(std::string_view bytes);

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
