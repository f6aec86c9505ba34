// Sums over a whole array, added in float64 and in an order that depends on its length alone.
#pragma once

#include <cstdint>

namespace dip {

// Sums of more terms than this are never float32 alone, because their error would grow with their length.
constexpr std::int64_t longest_sum = 1 << 20;

}  // namespace dip

namespace dip::DIP_BACKEND {

// *total = Σ values[i] / divisor. On the GPU `total` lies there.
void sum(const float* values, std::int64_t count, double divisor, double* total);

}  // namespace dip::DIP_BACKEND
