// How AVX-512 splits numbers into bfloat16 parts, finds their range, and turns columns of them into tiles.
#pragma once

#include <immintrin.h>

#include "cpu/gemm/bf16.h"
#include "cpu/gemm/lane_tiles.h"

namespace dip::cpu::DIP_ISA {
namespace {

// A range and the numbers that are included meanwhile. No destructor: its cleanup would be a symbol that files compiled
// for different instruction sets share.
struct GrowingRange {
  __m512i before_smallest, largest;  // minus 1: zero wraps around to the largest unsigned number

  explicit GrowingRange(const Bf16Range& range)
      : before_smallest(_mm512_sub_epi32(_mm512_loadu_si512(range.smallest), _mm512_set1_epi32(1))),
        largest(_mm512_loadu_si512(range.largest)) {}
  void include(F v) {
    const __m512i bits = _mm512_and_si512((__m512i)v, _mm512_set1_epi32(0x7fffffff));
    before_smallest = _mm512_min_epu32(before_smallest, _mm512_sub_epi32(bits, _mm512_set1_epi32(1)));
    largest = _mm512_max_epi32(largest, bits);
  }
  void save(Bf16Range& range) const {
    _mm512_storeu_si512(range.smallest, _mm512_add_epi32(before_smallest, _mm512_set1_epi32(1)));
    _mm512_storeu_si512(range.largest, largest);
  }
};

constexpr std::int32_t upper_half = static_cast<std::int32_t>(0xffff0000);

// The lower lanes and then the upper ones of 32 bfloat16 numbers, in the upper halves of words.
inline I lower_numbers(__m512i halves) {
  return (I)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm512_castsi512_si256(halves)), 16);
}
inline I upper_numbers(__m512i halves) {
  return (I)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(halves, 1)), 16);
}

// Both rounded to bfloat16, ties to even, one after the other. Numbers below 2⁻¹²⁶ become zeros.
inline __m512i rounded(F low, F high) {
  return (__m512i)_mm512_cvtne2ps_pbh((__m512)high, (__m512)low);
}

// The next bfloat16 part of 32 numbers, side by side; `low` and `high` keep what it leaves, unless it is the only one.
template <bool only>
inline __m512i take_part(F& low, F& high) {
  const __m512i halves = rounded(low, high);
  if constexpr (!only) {
    low -= (F)lower_numbers(halves);
    high -= (F)upper_numbers(halves);
  }
  return halves;
}

// The same of two numbers in every lane, side by side.
template <bool only>
inline I take_pairs(F& first, F& second) {
  const __m512i pairs = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21,
                                         5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  const I words = (I)_mm512_permutexvar_epi16(pairs, rounded(first, second));
  if constexpr (!only) {
    first -= (F)(words << 16);
    second -= (F)(words & upper_half);
  }
  return words;
}

void turn_columns(const Bf16Turn& given) {
  const Bf16Turn p = given;
  constexpr float nothing[W] = {};
  for (std::int64_t half = 0; half < 2; ++half) {
    F words[W];  // of two numbers of the depth
    load_transposed(
        [&](int i) {
          const std::int64_t column = half * W + i;
          return column < p.columns ? reinterpret_cast<const float*>(p.from + column * p.column) : nothing;
        },
        words);
    float* to = reinterpret_cast<float*>(p.to + half * bf16_half);
#pragma GCC unroll 16
    for (int i = 0; i < W; ++i) store(to + i * W, words[i]);
  }
}

}  // namespace
}  // namespace dip::cpu::DIP_ISA
