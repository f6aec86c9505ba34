// The weights of a convolution as tiles of bfloat16 products, one for each tap. They lie tap by tap, so numbers of one
// tap are as far apart as there are taps: lines are rounded as they come, and their numbers picked from vectors of 32.
#pragma once

#include "cpu/gemm/bf16_parts.h"

namespace dip::cpu::DIP_ISA {
namespace {

// Picks the numbers of a tap from a line: number i is the (i·taps + tap)-th.
class TapPicker {
 public:
  TapPicker(std::int64_t tap, std::int64_t taps) {
    std::uint16_t lanes[bf16_depth];
    for (std::int64_t i = 0; i < bf16_depth; ++i) {
      const std::int64_t at = i * taps + tap, vector = at / bf16_depth * bf16_depth;
      lanes[i] = static_cast<std::uint16_t>(at % bf16_depth);
      if (count_ == 0 || from_[count_ - 1] != vector) {
        from_[count_] = vector;
        mask_[count_++] = 0;
      }
      mask_[count_ - 1] |= static_cast<__mmask32>(1) << i;
    }
    lanes_ = _mm512_loadu_si512(lanes);
  }
  __m512i pick(const std::uint16_t* line) const {
    __m512i numbers = _mm512_setzero_si512();
    for (int i = 0; i < count_; ++i) {
      numbers = _mm512_mask_permutexvar_epi16(numbers, mask_[i], lanes_, _mm512_loadu_si512(line + from_[i]));
    }
    return numbers;
  }

 private:
  __m512i lanes_;
  int count_ = 0;
  std::int64_t from_[bf16_depth];
  __mmask32 mask_[bf16_depth];
};

template <bool only>
void pack_weights_of(const Bf16Weights& given, Bf16Range& range) {
  const Bf16Weights p = given;
  const int parts = only ? 1 : p.parts;
  GrowingRange growing(range);
  const std::int64_t padded = bf16_depth * p.taps, some = p.numbers * p.taps, part_size = bf16_depth * padded;
  for (std::int64_t line = 0; line < p.lines; ++line) {
    const float* from = p.source + line * p.line;
    std::uint16_t* to = p.rounded + line * padded;
    for (std::int64_t at = 0; at < padded; at += 2 * W) {
      F low = load_lanes(from + at, lanes_inside(at, some)),
        high = load_lanes(from + at + W, lanes_inside(at + W, some));
      growing.include(low);
      growing.include(high);
      for (int part = 0; part < parts; ++part) {
        _mm512_storeu_si512(to + part * part_size + at, take_part<only>(low, high));
      }
    }
  }
  growing.save(range);
  const __m512i pairs = _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8, 39, 7, 38, 6, 37,
                                         5, 36, 4, 35, 3, 34, 2, 33, 1, 32, 0);
  const __m512i upper_pairs = _mm512_add_epi16(pairs, _mm512_set1_epi16(16));
  std::uint16_t* to = p.to;
  for (const std::int64_t* tap = p.wanted; tap < p.wanted + p.count; ++tap, to += bf16_tile) {
    const TapPicker picker(*tap, p.taps);
    for (int part = 0; part < parts; ++part) {
      const std::uint16_t* rounded = p.rounded + part * part_size;
      std::uint16_t* tile = to + part * p.part_distance;
      const auto line_of = [&](std::int64_t line) {
        return line < p.lines ? picker.pick(rounded + line * padded) : _mm512_setzero_si512();
      };
      if (p.lines_are_columns) {
        std::uint16_t columns[bf16_columns][bf16_depth];
        for (std::int64_t line = 0; line < p.lines; ++line) _mm512_storeu_si512(columns[line], line_of(line));
        turn_columns({columns[0], bf16_depth, p.lines, tile});
        continue;
      }
      for (std::int64_t d = 0; d < bf16_depth; d += 2) {
        const __m512i even = line_of(d), odd = line_of(d + 1);
        _mm512_storeu_si512(tile + d * W, _mm512_permutex2var_epi16(even, pairs, odd));
        _mm512_storeu_si512(tile + d * W + bf16_half, _mm512_permutex2var_epi16(even, upper_pairs, odd));
      }
    }
  }
}

void pack_weights(const Bf16Weights& p, Bf16Range& range) {
  (p.parts == 1 ? pack_weights_of<true> : pack_weights_of<false>)(p, range);
}

}  // namespace
}  // namespace dip::cpu::DIP_ISA
