// The geometry of window operators as plain data: kernels include it.
#pragma once

#include <cstdint>

namespace dip {

// One axis: F = kernel taps, `dilation` apart, every `stride` elements of the padded input.
struct Axis {
  std::int64_t input = 0, kernel = 0, stride = 1, pad_start = 0, pad_end = 0, dilation = 1, output = 0;
};

struct Window2d {
  Axis h, w;
};

}  // namespace dip
