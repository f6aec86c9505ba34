// Windows on the GPU with indices as short as the array allows: 32-bit division is several times cheaper.
#pragma once

#include "core/axis.h"
#include "cuda/device.h"

namespace dip::cuda {

template <class Index>
struct AxisOf {
  Index input, kernel, stride, pad_start, dilation, output;

  explicit AxisOf(const Axis& axis)
      : input(static_cast<Index>(axis.input)),
        kernel(static_cast<Index>(axis.kernel)),
        stride(static_cast<Index>(axis.stride)),
        pad_start(static_cast<Index>(axis.pad_start)),
        dilation(static_cast<Index>(axis.dilation)),
        output(static_cast<Index>(axis.output)) {}
};

template <class Index>
struct WindowOf {
  AxisOf<Index> h, w;

  explicit WindowOf(const Window2d& window) : h(window.h), w(window.w) {}
};

// Whether 32-bit indices reach all of an operator's `count` elements and every position of its windows.
inline bool fits_32_bits(const Window2d& window, std::int64_t count) {
  constexpr std::int64_t limit = std::int64_t{1} << 30;
  for (const Axis* axis : {&window.h, &window.w}) {
    if (axis->input + axis->pad_start + axis->pad_end >= limit || axis->stride >= limit || axis->dilation >= limit) {
      return false;
    }
  }
  return count < limit;
}

// Calls run with a number whose type is the index to use.
template <class Run>
void with_index(bool short_index, const Run& run) {
  if (short_index) {
    run(std::int32_t{});
  } else {
    run(std::int64_t{});
  }
}

// The version of a kernel for windows of 2 × 2 or 3 × 3 taps, or for any.
template <class Kernel>
Kernel* kernel_of_size(const Window2d& window, Kernel* two, Kernel* three, Kernel* any) {
  if (window.h.kernel != window.w.kernel) return any;
  return window.h.kernel == 2 ? two : window.h.kernel == 3 ? three : any;
}

}  // namespace dip::cuda
