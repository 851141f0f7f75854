// What is deprecated of OpenSSL here, its SHA256_CTX, is the one way to let it go on from a state.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <immintrin.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <numeric>

#include "base/checksum.hpp"
#include "base/sha256_ways.hpp"

// GCC 12 takes what its own header leaves undefined on purpose for an oversight (its bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"

namespace lifeboat {
namespace {

// One message after another keeps the processor waiting for itself: a round needs the one before.
// Sixteen at once do not, one in each 32 bits of AVX-512's registers (S. Gueron, V. Krasnov,
// "Simultaneous Hashing of Multiple Messages", Journal of Information Security 3, 2012). OpenSSL
// ends each message, and does those that are too few.
constexpr std::size_t kLanes = 16;
constexpr std::size_t kWorthIt = 10;  // fewer are faster one by one
constexpr std::size_t kBlock = 64;
constexpr std::size_t kRounds = 64;

// FIPS 180-4, 5.3.3 and 4.2.2.
constexpr std::array<std::uint32_t, 8> kBegin = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                                 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
constexpr std::array<std::uint32_t, kRounds> kConstants = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

// Word by word, that of each lane.
struct alignas(64) States {
  std::uint32_t words[kBegin.size()][kLanes];
};

#define LIFEBOAT_LANES __attribute__((target("avx512f,avx512bw")))
#define LIFEBOAT_LANES_INLINE LIFEBOAT_LANES __attribute__((always_inline)) inline

LIFEBOAT_LANES_INLINE __m512i add(__m512i a, __m512i b) {
  return _mm512_add_epi32(a, b);
}

// The truth tables of a ^ b ^ c, of `a ? b : c`, and of what most of three say.
LIFEBOAT_LANES_INLINE __m512i exclusive(__m512i a, __m512i b, __m512i c) {
  return _mm512_ternarylogic_epi32(a, b, c, 0x96);
}
LIFEBOAT_LANES_INLINE __m512i choice(__m512i a, __m512i b, __m512i c) {
  return _mm512_ternarylogic_epi32(a, b, c, 0xca);
}
LIFEBOAT_LANES_INLINE __m512i majority(__m512i a, __m512i b, __m512i c) {
  return _mm512_ternarylogic_epi32(a, b, c, 0xe8);
}

template <int First, int Second, int Third>
LIFEBOAT_LANES_INLINE __m512i rotations(__m512i x) {
  return exclusive(_mm512_ror_epi32(x, First), _mm512_ror_epi32(x, Second),
                   _mm512_ror_epi32(x, Third));
}
template <int First, int Second, int Shift>
LIFEBOAT_LANES_INLINE __m512i rotations_and_shift(__m512i x) {
  return exclusive(_mm512_ror_epi32(x, First), _mm512_ror_epi32(x, Second),
                   _mm512_srli_epi32(x, Shift));
}

// Sixteen words of each of sixteen lanes become the lanes of each of sixteen words.
LIFEBOAT_LANES_INLINE void transpose(__m512i (&rows)[kLanes]) {
  __m512i t[kLanes];
  for (std::size_t i = 0; i < kLanes; i += 2) {
    t[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
  }
  for (std::size_t i = 0; i < kLanes; i += 4) {
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

LIFEBOAT_LANES_INLINE void load(const std::array<const char*, kLanes>& at,
                                __m512i (&words)[kLanes]) {
  for (std::size_t i = 0; i < kLanes; ++i) words[i] = _mm512_loadu_si512(at[i]);
  transpose(words);
  const auto big_endian = _mm512_set4_epi32(0x0c0d0e0f, 0x08090a0b, 0x04050607, 0x00010203);
  for (auto& word : words) word = _mm512_shuffle_epi8(word, big_endian);
}

using Words = __m512i[kLanes];
using State = __m512i[kBegin.size()];

// FIPS 180-4, 6.2.2, step 3. `schedule`: each word becomes that of sixteen rounds later.
template <bool schedule>
LIFEBOAT_LANES_INLINE void sixteen_rounds(const std::uint32_t* constants, Words& words,
                                          State& state) {
  auto& [a, b, c, d, e, f, g, h] = state;
#pragma GCC unroll 16
  for (std::size_t i = 0; i < kLanes; ++i) {
    auto& word = words[i];
    const auto constant = _mm512_set1_epi32(static_cast<int>(constants[i]));
    const auto first =
        add(add(h, add(word, constant)), add(rotations<6, 11, 25>(e), choice(e, f, g)));
    const auto second = add(rotations<2, 13, 22>(a), majority(a, b, c));
    h = g, g = f, f = e, e = add(d, first), d = c, c = b, b = a, a = add(first, second);
    if constexpr (schedule) {
      const auto near = rotations_and_shift<7, 18, 3>(words[(i + 1) % kLanes]);
      const auto far = rotations_and_shift<17, 19, 10>(words[(i + 14) % kLanes]);
      word = add(add(word, near), add(far, words[(i + 9) % kLanes]));
    }
  }
}

// One block of each lane.
LIFEBOAT_LANES_INLINE void block(Words& words, State& state) {
  State before;
  for (std::size_t i = 0; i < kBegin.size(); ++i) before[i] = state[i];
  constexpr std::size_t last = kRounds - kLanes;
  for (std::size_t round = 0; round < last; round += kLanes) {
    sixteen_rounds<true>(&kConstants[round], words, state);
  }
  sixteen_rounds<false>(&kConstants[last], words, state);
  for (std::size_t i = 0; i < kBegin.size(); ++i) state[i] = add(state[i], before[i]);
}

LIFEBOAT_LANES void go_on(States& states, std::array<const char*, kLanes> at, std::size_t blocks) {
  State state;
  std::memcpy(state, states.words, sizeof state);
  for (; blocks > 0; --blocks) {
    Words words;
    load(at, words);
    block(words, state);
    for (auto& place : at) place += kBlock;
  }
  std::memcpy(states.words, state, sizeof state);
}

#undef LIFEBOAT_LANES_INLINE
#undef LIFEBOAT_LANES

// The messages of one call, the long ones first, so that lanes are busy to the end.
class Lanes {
 public:
  explicit Lanes(std::span<const std::string_view> messages)
      : messages_(messages), digests_(messages.size()), order_(messages.size()) {
    std::iota(order_.begin(), order_.end(), std::size_t{0});
    std::sort(order_.begin(), order_.end(),
              [&](auto a, auto b) { return messages[a].size() > messages[b].size(); });
  }

  std::vector<Digest> run() {
    while (fill() >= kWorthIt) step();
    for (std::size_t i = 0; i < kLanes; ++i) {
      if (lanes_[i].busy) end(i);
    }
    while (next_ < order_.size()) {
      const auto number = order_[next_++];
      digests_[number] = sha256(messages_[number]);
    }
    return std::move(digests_);
  }

 private:
  struct Lane {
    bool busy = false;
    std::size_t number = 0;  // of the message
    std::size_t done = 0;    // bytes of it
  };

  std::size_t blocks_left(const Lane& lane) const {
    return (messages_[lane.number].size() - lane.done) / kBlock;
  }

  // How many lanes have something to do. Those of the others have ended.
  std::size_t fill() {
    std::size_t busy = 0;
    for (std::size_t i = 0; i < kLanes; ++i) {
      while (lanes_[i].busy ? blocks_left(lanes_[i]) == 0 : next_ < order_.size()) {
        lanes_[i].busy ? end(i) : begin(i);
      }
      busy += lanes_[i].busy ? 1 : 0;
    }
    return busy;
  }

  void begin(std::size_t i) {
    lanes_[i] = {true, order_[next_++], 0};
    for (std::size_t word = 0; word < kBegin.size(); ++word) {
      states_.words[word][i] = kBegin[word];
    }
  }

  // As far as all go. Lanes that have nothing to do read what another reads, for nobody.
  void step() {
    const auto busy =
        std::find_if(lanes_.begin(), lanes_.end(), [](auto& lane) { return lane.busy; });
    std::array<const char*, kLanes> at;
    at.fill(place(*busy));
    auto blocks = blocks_left(*busy);
    for (std::size_t i = 0; i < kLanes; ++i) {
      if (!lanes_[i].busy) continue;
      at[i] = place(lanes_[i]);
      blocks = std::min(blocks, blocks_left(lanes_[i]));
    }
    go_on(states_, at, blocks);
    for (auto& lane : lanes_) lane.done += blocks * kBlock;
  }

  const char* place(const Lane& lane) const { return messages_[lane.number].data() + lane.done; }

  void end(std::size_t i) {
    lanes_[i].busy = false;
    const auto& message = messages_[lanes_[i].number];
    SHA256_CTX context;
    SHA256_Init(&context);
    for (std::size_t word = 0; word < kBegin.size(); ++word) {
      context.h[word] = states_.words[word][i];
    }
    const std::uint64_t bits = std::uint64_t{lanes_[i].done} * 8;
    context.Nl = static_cast<SHA_LONG>(bits);
    context.Nh = static_cast<SHA_LONG>(bits >> 32);
    const auto left = message.substr(lanes_[i].done);
    SHA256_Update(&context, left.data(), left.size());
    SHA256_Final(digests_[lanes_[i].number].bytes.data(), &context);
  }

  std::span<const std::string_view> messages_;
  std::vector<Digest> digests_;
  std::vector<std::size_t> order_;
  std::size_t next_ = 0;  // of order_
  std::array<Lane, kLanes> lanes_;
  States states_{};
};

std::vector<Digest> by_lanes(std::span<const std::string_view> messages) {
  return Lanes(messages).run();
}

std::vector<Digest> one_by_one(std::span<const std::string_view> messages) {
  std::vector<Digest> digests;
  for (const auto& message : messages) digests.push_back(sha256(message));
  return digests;
}

}  // namespace

std::vector<Sha256Way> sha256_ways() {
  std::vector<Sha256Way> ways;
  const bool lanes =
      __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0;
  if (lanes) ways.push_back(by_lanes);
  ways.push_back(one_by_one);
  return ways;
}

std::vector<Digest> sha256_each(std::span<const std::string_view> messages) {
  static const auto best = sha256_ways().front();
  return best(messages);
}

}  // namespace lifeboat
