#include "cpu/gemm/bf16.h"

#include <algorithm>

namespace dip::cpu {
namespace {

std::int32_t exponent(std::int32_t bits) {
  return (bits >> 23) - 127;
}

}  // namespace

bool bf16_can_multiply(const Bf16Range& a, const Bf16Range& b, std::int64_t depth, int parts) {
  constexpr std::int32_t rounds_to_infinity = 0x7f7f8000;
  const std::int32_t a_largest = *std::max_element(a.largest, a.largest + 16);
  const std::int32_t b_largest = *std::max_element(b.largest, b.largest + 16);
  if (a_largest >= rounds_to_infinity || b_largest >= rounds_to_infinity) return false;
  if (parts == 1 || a_largest == 0 || b_largest == 0) return true;
  // No part of a number, no product of parts that counts, and no sum may leave the normal numbers.
  std::int32_t doublings = 2;
  while (depth >> doublings > 0) ++doublings;
  const std::int32_t a_smallest = exponent(*std::min_element(a.smallest, a.smallest + 16));
  const std::int32_t b_smallest = exponent(*std::min_element(b.smallest, b.smallest + 16));
  return exponent(a_largest) + exponent(b_largest) + doublings < 126 && a_smallest > -100 && b_smallest > -100 &&
         a_smallest + b_smallest > -100;
}

const Bf16Tiles* bf16_tiles() {
  switch (active_isa()) {
#if defined(DIP_AVX512_BF16)
    case Isa::avx512_bf16: return &avx512_bf16::tiles;
#endif
#if defined(DIP_AMX)
    case Isa::amx: return &amx::tiles;
#endif
#if defined(DIP_AMX_EMULATED)
    case Isa::amx_emulated: return &amx_emulated::tiles;
#endif
    default: return nullptr;
  }
}

const Bf16Kernels& bf16_kernels() {
#if defined(DIP_AVX512_BF16)
  return avx512_bf16::bf16_kernels;
#else
  static const Bf16Kernels none{};
  return none;
#endif
}

bool bf16_serves(Precision precision) {
  return bf16_tiles() && bf16_split(precision).parts <= bf16_tiles()->most_parts;
}

double bf16_step_cost(double rows, std::int64_t most_rows, std::int64_t columns, int products) {
  const Bf16Tiles& tiles = *bf16_tiles();
  const std::int64_t whole = columns / bf16_columns, rest = columns % bf16_columns;
  const double cost = static_cast<double>(whole) * tiles.step_cost(most_rows, bf16_columns, products) +
                      (rest > 0 ? tiles.step_cost(most_rows, rest, products) : 0.0);
  return rows / static_cast<double>(most_rows) * cost;
}

}  // namespace dip::cpu
