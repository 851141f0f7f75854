// What is deprecated of OpenSSL here, its SHA256_CTX, is the one way to let it go on from a state.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <cpuid.h>
#include <immintrin.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include "base/checksum.hpp"
#include "base/sha256_ways.hpp"

// GCC 12 takes what its own header leaves undefined on purpose for an oversight (its bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"

namespace lifeboat {
namespace {

// One message after another keeps the processor waiting for itself: a round needs the one before.
// Eight or sixteen at once do not, one in each 32 bits of AVX-512's registers (S. Gueron,
// V. Krasnov, "Simultaneous Hashing of Multiple Messages", Journal of Information Security 3,
// 2012); nor do two whose rounds take turns, by the SHA extensions ("SHA-NI"). OpenSSL ends each
// message, and does one alone. (It has nothing like that for others to call; libipsec-mb has, for
// messages up to 64 KiB.)
constexpr std::size_t kWorthSixteen = 13;  // fewer messages are faster in eight lanes
constexpr std::size_t kWorthEight = 7;     // fewer are faster two by two
constexpr std::size_t kWorthEightAlone =
    3;  // fewer are faster one by one, where there are no pairs
constexpr std::size_t kBlock = 64;
constexpr std::size_t kWords = 16;  // of a block
constexpr std::size_t kRounds = 64;

// FIPS 180-4, 5.3.3 and 4.2.2.
using State = std::array<std::uint32_t, 8>;
constexpr State kBegin = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                          0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
alignas(16) constexpr std::array<std::uint32_t, kRounds> kConstants = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

struct Message {
  std::size_t number = 0;
  const char* at = nullptr;
  std::size_t blocks = 0;  // that are left; what is left then is no block
  State state = kBegin;
};

#define LIFEBOAT_LANES __attribute__((target("avx512f,avx512bw,avx512vl")))
#define LIFEBOAT_LANES_INLINE LIFEBOAT_LANES __attribute__((always_inline)) inline

struct Sixteen {
  static constexpr std::size_t kLanes = 16;
  using Vector = __m512i;

  LIFEBOAT_LANES_INLINE static Vector all(std::uint32_t x) {
    return _mm512_set1_epi32(static_cast<int>(x));
  }
  LIFEBOAT_LANES_INLINE static Vector add(Vector a, Vector b) { return _mm512_add_epi32(a, b); }
  template <int bits>
  LIFEBOAT_LANES_INLINE static Vector rotated(Vector x) {
    return _mm512_ror_epi32(x, bits);
  }
  template <int bits>
  LIFEBOAT_LANES_INLINE static Vector shifted(Vector x) {
    return _mm512_srli_epi32(x, bits);
  }
  template <int table>
  LIFEBOAT_LANES_INLINE static Vector by_table(Vector a, Vector b, Vector c) {
    return _mm512_ternarylogic_epi32(a, b, c, table);
  }

  // Sixteen words of each of sixteen lanes become the lanes of each of sixteen words.
  LIFEBOAT_LANES_INLINE static void transpose(Vector (&rows)[kWords]) {
    Vector t[kWords];
    for (std::size_t i = 0; i < kWords; i += 2) {
      t[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
      t[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
    }
    for (std::size_t i = 0; i < kWords; i += 4) {
      rows[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
      rows[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
      rows[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
      rows[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
    constexpr int even = 0x88, odd = 0xdd;  // quarters of each of the two
    for (std::size_t i = 0; i < 4; ++i) {
      t[i] = _mm512_shuffle_i32x4(rows[i], rows[i + 4], even);
      t[i + 4] = _mm512_shuffle_i32x4(rows[i], rows[i + 4], odd);
      t[i + 8] = _mm512_shuffle_i32x4(rows[i + 8], rows[i + 12], even);
      t[i + 12] = _mm512_shuffle_i32x4(rows[i + 8], rows[i + 12], odd);
    }
    for (std::size_t i = 0; i < 4; ++i) {
      rows[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], even);
      rows[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], odd);
      rows[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], even);
      rows[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], odd);
    }
  }

  LIFEBOAT_LANES_INLINE static void load(const std::array<const char*, kLanes>& at,
                                         Vector (&words)[kWords]) {
    for (std::size_t i = 0; i < kLanes; ++i) words[i] = _mm512_loadu_si512(at[i]);
    transpose(words);
    const auto big_endian = _mm512_set4_epi32(0x0c0d0e0f, 0x08090a0b, 0x04050607, 0x00010203);
    for (auto& word : words) word = _mm512_shuffle_epi8(word, big_endian);
  }
};

struct Eight {
  static constexpr std::size_t kLanes = 8;
  using Vector = __m256i;

  LIFEBOAT_LANES_INLINE static Vector all(std::uint32_t x) {
    return _mm256_set1_epi32(static_cast<int>(x));
  }
  LIFEBOAT_LANES_INLINE static Vector add(Vector a, Vector b) { return _mm256_add_epi32(a, b); }
  template <int bits>
  LIFEBOAT_LANES_INLINE static Vector rotated(Vector x) {
    return _mm256_ror_epi32(x, bits);
  }
  template <int bits>
  LIFEBOAT_LANES_INLINE static Vector shifted(Vector x) {
    return _mm256_srli_epi32(x, bits);
  }
  template <int table>
  LIFEBOAT_LANES_INLINE static Vector by_table(Vector a, Vector b, Vector c) {
    return _mm256_ternarylogic_epi32(a, b, c, table);
  }

  // Eight words of each of eight lanes become the lanes of each of eight words.
  LIFEBOAT_LANES_INLINE static void transpose(Vector* rows) {
    Vector t[kLanes];
    for (std::size_t i = 0; i < kLanes; i += 2) {
      t[i] = _mm256_unpacklo_epi32(rows[i], rows[i + 1]);
      t[i + 1] = _mm256_unpackhi_epi32(rows[i], rows[i + 1]);
    }
    for (std::size_t i = 0; i < kLanes; i += 4) {
      rows[i] = _mm256_unpacklo_epi64(t[i], t[i + 2]);
      rows[i + 1] = _mm256_unpackhi_epi64(t[i], t[i + 2]);
      rows[i + 2] = _mm256_unpacklo_epi64(t[i + 1], t[i + 3]);
      rows[i + 3] = _mm256_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
    constexpr int lower = 0x20, upper = 0x31;  // halves of each of the two
    for (std::size_t i = 0; i < 4; ++i) {
      t[i] = _mm256_permute2x128_si256(rows[i], rows[i + 4], lower);
      t[i + 4] = _mm256_permute2x128_si256(rows[i], rows[i + 4], upper);
    }
    for (std::size_t i = 0; i < kLanes; ++i) rows[i] = t[i];
  }

  LIFEBOAT_LANES_INLINE static void load(const std::array<const char*, kLanes>& at,
                                         Vector (&words)[kWords]) {
    for (std::size_t i = 0; i < kLanes; ++i) {
      words[i] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at[i]));
      words[kLanes + i] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at[i] + kBlock / 2));
    }
    transpose(words);
    transpose(words + kLanes);
    const auto big_endian = _mm256_set_epi32(0x0c0d0e0f, 0x08090a0b, 0x04050607, 0x00010203,
                                             0x0c0d0e0f, 0x08090a0b, 0x04050607, 0x00010203);
    for (auto& word : words) word = _mm256_shuffle_epi8(word, big_endian);
  }
};

// FIPS 180-4, 6.2.2, in all lanes of registers as L has them.
template <typename L>
class Compression {
 public:
  static constexpr std::size_t kLanes = L::kLanes;

  LIFEBOAT_LANES static void go_on(std::array<State, kLanes>& states,
                                   std::array<const char*, kLanes> at, std::size_t blocks) {
    alignas(Vector) std::uint32_t lanes[kBegin.size()][kLanes];
    for (std::size_t word = 0; word < kBegin.size(); ++word) {
      for (std::size_t i = 0; i < kLanes; ++i) lanes[word][i] = states[i][word];
    }
    Vector state[kBegin.size()];
    std::memcpy(state, lanes, sizeof state);
    for (; blocks > 0; --blocks) {
      Vector words[kWords];
      L::load(at, words);
      block(words, state);
      for (auto& place : at) place += kBlock;
    }
    std::memcpy(lanes, state, sizeof state);
    for (std::size_t word = 0; word < kBegin.size(); ++word) {
      for (std::size_t i = 0; i < kLanes; ++i) states[i][word] = lanes[word][i];
    }
  }

 private:
  using Vector = typename L::Vector;

  LIFEBOAT_LANES_INLINE static void block(Vector (&words)[kWords], Vector (&state)[kBegin.size()]) {
    Vector before[kBegin.size()];
    for (std::size_t i = 0; i < kBegin.size(); ++i) before[i] = state[i];
    constexpr std::size_t last = kRounds - kWords;
    for (std::size_t round = 0; round < last; round += kWords) {
      sixteen_rounds<true>(&kConstants[round], words, state);
    }
    sixteen_rounds<false>(&kConstants[last], words, state);
    for (std::size_t i = 0; i < kBegin.size(); ++i) state[i] = L::add(state[i], before[i]);
  }

  // Step 3. `schedule`: each word becomes that of sixteen rounds later.
  template <bool schedule>
  LIFEBOAT_LANES_INLINE static void sixteen_rounds(const std::uint32_t* constants,
                                                   Vector (&words)[kWords],
                                                   Vector (&state)[kBegin.size()]) {
    auto& [a, b, c, d, e, f, g, h] = state;
#pragma GCC unroll 16
    for (std::size_t i = 0; i < kWords; ++i) {
      auto& word = words[i];
      const auto with_word = L::add(h, L::add(word, L::all(constants[i])));
      const auto first = L::add(
          with_word, L::add(rotations<6, 11, 25>(e), L::template by_table<kChoice>(e, f, g)));
      const auto second = L::add(rotations<2, 13, 22>(a), L::template by_table<kMajority>(a, b, c));
      h = g, g = f, f = e, e = L::add(d, first), d = c, c = b, b = a, a = L::add(first, second);
      if constexpr (schedule) {
        const auto near = rotations_and_shift<7, 18, 3>(words[(i + 1) % kWords]);
        const auto far = rotations_and_shift<17, 19, 10>(words[(i + 14) % kWords]);
        word = L::add(L::add(word, near), L::add(far, words[(i + 9) % kWords]));
      }
    }
  }

  // Truth tables: of a ^ b ^ c, of `a ? b : c`, and of what most of three say.
  static constexpr int kExclusive = 0x96, kChoice = 0xca, kMajority = 0xe8;

  template <int first, int second, int third>
  LIFEBOAT_LANES_INLINE static Vector rotations(Vector x) {
    return L::template by_table<kExclusive>(L::template rotated<first>(x),
                                            L::template rotated<second>(x),
                                            L::template rotated<third>(x));
  }
  template <int first, int second, int shift>
  LIFEBOAT_LANES_INLINE static Vector rotations_and_shift(Vector x) {
    return L::template by_table<kExclusive>(L::template rotated<first>(x),
                                            L::template rotated<second>(x),
                                            L::template shifted<shift>(x));
  }
};

#undef LIFEBOAT_LANES_INLINE
#undef LIFEBOAT_LANES

#define LIFEBOAT_PAIR __attribute__((target("sha,sse4.1")))
#define LIFEBOAT_PAIR_INLINE LIFEBOAT_PAIR __attribute__((always_inline)) inline

// The same of two messages, by instructions that do two rounds of one (Intel's manual, "Intel SHA
// Extensions"). They want the state as two halves, a, b, e, f and c, d, g, h, backwards.
class Pair {
 public:
  static constexpr std::size_t kLanes = 2;

  LIFEBOAT_PAIR static void go_on(std::array<State, kLanes>& states,
                                  std::array<const char*, kLanes> at, std::size_t blocks) {
    Halves halves[kLanes];
    for (std::size_t i = 0; i < kLanes; ++i) halves[i] = halves_of(states[i]);
    for (; blocks > 0; --blocks) {
      block(at, halves);
      for (auto& place : at) place += kBlock;
    }
    for (std::size_t i = 0; i < kLanes; ++i) states[i] = state_of(halves[i]);
  }

 private:
  struct Halves {
    __m128i abef, cdgh;
  };

  static constexpr int kBackwards = 0x1b, kPairsBackwards = 0xb1, kUpper = 0xf0;

  LIFEBOAT_PAIR_INLINE static Halves halves_of(const State& state) {
    const auto* words = reinterpret_cast<const __m128i*>(state.data());
    const auto badc = _mm_shuffle_epi32(_mm_loadu_si128(words), kPairsBackwards);
    const auto hgfe = _mm_shuffle_epi32(_mm_loadu_si128(words + 1), kBackwards);
    return {_mm_alignr_epi8(badc, hgfe, 8), _mm_blend_epi16(hgfe, badc, kUpper)};
  }

  LIFEBOAT_PAIR_INLINE static State state_of(const Halves& halves) {
    State state;
    auto* words = reinterpret_cast<__m128i*>(state.data());
    const auto abef = _mm_shuffle_epi32(halves.abef, kBackwards);
    const auto ghcd = _mm_shuffle_epi32(halves.cdgh, kPairsBackwards);
    _mm_storeu_si128(words, _mm_blend_epi16(abef, ghcd, kUpper));
    _mm_storeu_si128(words + 1, _mm_alignr_epi8(ghcd, abef, 8));
    return state;
  }

  LIFEBOAT_PAIR_INLINE static void block(const std::array<const char*, kLanes>& at,
                                         Halves (&halves)[kLanes]) {
    constexpr std::size_t kQuarters = 4;  // of a block: four words, for as many rounds
    const auto big_endian = _mm_set_epi32(0x0c0d0e0f, 0x08090a0b, 0x04050607, 0x00010203);
    __m128i words[kLanes][kQuarters];
    const Halves before[kLanes] = {halves[0], halves[1]};
    for (std::size_t i = 0; i < kLanes; ++i) {
      const auto* from = reinterpret_cast<const __m128i*>(at[i]);
      for (std::size_t quarter = 0; quarter < kQuarters; ++quarter) {
        words[i][quarter] = _mm_shuffle_epi8(_mm_loadu_si128(from + quarter), big_endian);
      }
    }
    const auto* constants = reinterpret_cast<const __m128i*>(kConstants.data());
#pragma GCC unroll 16
    for (std::size_t four = 0; four < kRounds / 4; ++four) {
      const auto constant = _mm_load_si128(constants + four);
#pragma GCC unroll 2
      for (std::size_t i = 0; i < kLanes; ++i) {
        auto& [abef, cdgh] = halves[i];
        auto& now = words[i][four % kQuarters];
        const auto with_constant = _mm_add_epi32(now, constant);
        cdgh = _mm_sha256rnds2_epu32(cdgh, abef, with_constant);
        abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(with_constant, 0x0e));
        if (four < kRounds / 4 - kQuarters) {  // they become those of sixteen rounds later
          const auto next = words[i][(four + 1) % kQuarters];
          const auto far = words[i][(four + 2) % kQuarters],
                     last = words[i][(four + 3) % kQuarters];
          now = _mm_add_epi32(_mm_sha256msg1_epu32(now, next), _mm_alignr_epi8(last, far, 4));
          now = _mm_sha256msg2_epu32(now, last);
        }
      }
    }
    for (std::size_t i = 0; i < kLanes; ++i) {
      halves[i].abef = _mm_add_epi32(halves[i].abef, before[i].abef);
      halves[i].cdgh = _mm_add_epi32(halves[i].cdgh, before[i].cdgh);
    }
  }
};

#undef LIFEBOAT_PAIR_INLINE
#undef LIFEBOAT_PAIR

// The first of `messages`, as many as C does at once: as far as all of them go, and not so far
// that longer ones, which wait, should have had their turn.
template <typename C>
void step(std::span<Message*> messages) {
  constexpr std::size_t kTurn = 1024;  // blocks
  std::array<State, C::kLanes> states;
  std::array<const char*, C::kLanes> at;
  std::size_t blocks = kTurn;
  for (std::size_t i = 0; i < C::kLanes; ++i) {
    // A lane for which there is no message does what another does, for nobody.
    const auto& message = *messages[std::min(i, messages.size() - 1)];
    states[i] = message.state;
    at[i] = message.at;
    blocks = std::min(blocks, message.blocks);
  }
  C::go_on(states, at, blocks);
  for (std::size_t i = 0; i < std::min(C::kLanes, messages.size()); ++i) {
    auto& message = *messages[i];
    message.state = states[i];
    message.at += blocks * kBlock;
    message.blocks -= blocks;
  }
}

bool knows_lanes() {
  return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
         __builtin_cpu_supports("avx512vl") != 0;
}

bool knows_pairs() {
  constexpr unsigned sse41 = 1u << 19, sha = 1u << 29;
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & sse41) == 0) return false;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & sha) != 0;
}

// What goes on with so many messages, of which each has a block; null: one by one is faster.
using Step = void (*)(std::span<Message*>);
Step by_pair(std::size_t count) {
  return count < Pair::kLanes ? nullptr : step<Pair>;
}
Step by_lanes(std::size_t count) {
  if (count >= kWorthSixteen) return step<Compression<Sixteen>>;
  return count >= kWorthEightAlone ? step<Compression<Eight>> : nullptr;
}
Step by_lanes_or_pair(std::size_t count) {
  return count >= kWorthEight ? by_lanes(count) : by_pair(count);
}

// By OpenSSL, which goes on where the lanes ended.
Digest end(const Message& message, std::string_view whole) {
  const auto done = static_cast<std::size_t>(message.at - whole.data());
  SHA256_CTX context;
  SHA256_Init(&context);
  for (std::size_t word = 0; word < kBegin.size(); ++word) context.h[word] = message.state[word];
  const std::uint64_t bits = std::uint64_t{done} * 8;
  context.Nl = static_cast<SHA_LONG>(bits);
  context.Nh = static_cast<SHA_LONG>(bits >> 32);
  SHA256_Update(&context, message.at, whole.size() - done);
  Digest digest;
  SHA256_Final(digest.bytes.data(), &context);
  return digest;
}

// Those of which most is left have their turn first: so all end at about the same time, and lanes
// are busy until then.
template <Step (*choose)(std::size_t)>
void go_on(std::vector<Message>& all) {
  constexpr std::size_t kAtATime = 32;
  std::vector<Message*> busy;
  auto next = all.begin();
  for (;;) {
    std::erase_if(busy, [](const auto* message) { return message->blocks == 0; });
    while (busy.size() < kAtATime && next != all.end()) busy.push_back(&*next++);
    std::sort(busy.begin(), busy.end(),
              [](const auto* a, const auto* b) { return a->blocks > b->blocks; });
    while (!busy.empty() && busy.back()->blocks == 0) busy.pop_back();
    const auto step = choose(busy.size());
    if (step == nullptr) return;
    step(busy);
  }
}

template <Step (*choose)(std::size_t)>
std::vector<Digest> at_once(std::span<const std::string_view> messages) {
  std::vector<Message> all;
  for (const auto& message : messages) {
    all.push_back({all.size(), message.data(), message.size() / kBlock});
  }
  std::sort(all.begin(), all.end(), [](auto& a, auto& b) { return a.blocks > b.blocks; });
  go_on<choose>(all);
  std::vector<Digest> digests(messages.size());
  for (const auto& one : all) digests[one.number] = end(one, messages[one.number]);
  return digests;
}

std::vector<Digest> one_by_one(std::span<const std::string_view> messages) {
  std::vector<Digest> digests;
  for (const auto& message : messages) digests.push_back(sha256(message));
  return digests;
}

}  // namespace

std::vector<Sha256Way> sha256_ways() {
  std::vector<Sha256Way> ways;
  if (knows_lanes() && knows_pairs()) ways.push_back(at_once<by_lanes_or_pair>);
  if (knows_lanes()) ways.push_back(at_once<by_lanes>);
  if (knows_pairs()) ways.push_back(at_once<by_pair>);
  ways.push_back(one_by_one);
  return ways;
}

std::vector<Digest> sha256_each(std::span<const std::string_view> messages) {
  static const auto best = sha256_ways().front();
  return best(messages);
}

std::size_t sha256_at_once() {
  static const auto most = knows_lanes() ? Sixteen::kLanes : knows_pairs() ? Pair::kLanes : 1;
  return most;
}

}  // namespace lifeboat
