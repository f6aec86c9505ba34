// Looks for NaN and infinities: a scan finds the rare case, so that kernels need not think of it.
#pragma once

#include <cstdint>

namespace dip::cpu {

bool all_finite(const float* values, std::int64_t count);
bool any_nan(const float* values, std::int64_t count);

}  // namespace dip::cpu
