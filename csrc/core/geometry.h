// The one place that knows O = (I − F + P_start + P_end)/S + 1.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "core/axis.h"

namespace dip {

using Pair = std::array<std::int64_t, 2>;    // (height, width)
using Padding = std::array<Pair, 2>;         // ((top, bottom), (left, right))
using Triple = std::array<std::int64_t, 3>;  // (depth, height, width)
using Padding3d = std::array<Pair, 3>;       // ((front, back), (top, bottom), (left, right))

// Checks the axis and returns its output size. `rounding` is "exact" (a division with a remainder is an error that
// names what would fit), "floor" (the end of the input that no window reaches is left out) or "ceil" (one more window
// takes what there is of it).
std::int64_t output_size(const char* op, const char* axis_name, const Axis& axis, const std::string& rounding);

Window2d make_window(const char* op, Pair input, Pair kernel, Pair stride, const Padding& padding, Pair dilation,
                     const std::string& rounding);

Window3d make_window(const char* op, Triple input, Triple kernel, Triple stride, const Padding3d& padding,
                     Triple dilation, const std::string& rounding);

}  // namespace dip
