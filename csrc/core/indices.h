// Indices that come from outside are range-checked before a kernel may use them.
#pragma once

#include <cstdint>

namespace dip::DIP_BACKEND {

// The position of the first index outside [0, limit) that is not `except`, or -1.
std::int64_t find_outside(const std::int32_t* indices, std::int64_t count, std::int64_t limit);
std::int64_t find_outside(const std::int64_t* indices, std::int64_t count, std::int64_t limit, std::int64_t except);

// The position of the first element that is negative, infinite or NaN, or -1.
std::int64_t find_improper(const float* values, std::int64_t count);

}  // namespace dip::DIP_BACKEND
