// Sums over a whole array on the device.
#pragma once

#include <cstdint>

namespace dip::cuda {

// Σ values[i] in float64, on the host. No floating-point atomics: one block adds in a fixed order.
double sum_on_device(const float* values, std::int64_t count);

}  // namespace dip::cuda
