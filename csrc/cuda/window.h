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

// Over images; kernels of such windows divide by nothing that clips alone need.
template <class Index_>
struct Window2dOf {
  using Index = Index_;
  static constexpr bool is_3d = false;
  AxisOf<Index> h, w;

  explicit Window2dOf(const Window3d& window) : h(window.h), w(window.w) {}
  __device__ static constexpr Index frames() { return 1; }
  __device__ static constexpr Index output_frames() { return 1; }
  __device__ static constexpr Index frame_taps() { return 1; }
  __device__ static constexpr Index frame(Index, Index) { return 0; }
};

// Over clips.
template <class Index_>
struct Window3dOf : Window2dOf<Index_> {
  using Index = Index_;
  static constexpr bool is_3d = true;
  AxisOf<Index> d;

  explicit Window3dOf(const Window3d& window) : Window2dOf<Index>(window), d(window.d) {}
  __device__ Index frames() const { return d.input; }
  __device__ Index output_frames() const { return d.output; }
  __device__ Index frame_taps() const { return d.kernel; }
  // What tap `tap` of the output frame `od` meets; −1: nothing.
  __device__ Index frame(Index od, Index tap) const {
    const Index frame = od * d.stride + tap * d.dilation - d.pad_start;
    return frame >= 0 && frame < d.input ? frame : Index{-1};
  }
};

// Where an element of a result lies.
template <class Index>
struct ElementPlace {
  Index channel, frame, row, column;
};

// Of element i of an array of so many frames of `height` × `width`.
template <class Index>
__device__ ElementPlace<Index> place_of(Index i, Index frames, Index height, Index width) {
  const Index column = i % width, row = i / width % height, rest = i / width / height;
  return {rest / frames, rest % frames, row, column};
}

// Whether 32-bit indices reach all of an operator's `count` elements and every position of its windows.
inline bool fits_32_bits(const Window3d& window, std::int64_t count) {
  constexpr std::int64_t limit = std::int64_t{1} << 30;
  for (const Axis* axis : {&window.d, &window.h, &window.w}) {
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

// Calls run with the window as kernels take it, for an operator of `count` elements.
template <class Run>
void with_window(const Window3d& window, std::int64_t count, const Run& run) {
  with_index(fits_32_bits(window, count), [&](auto index) {
    using Index = decltype(index);
    if (window.d.input == 1 && window.d.kernel == 1) {
      run(Window2dOf<Index>(window));
    } else {
      run(Window3dOf<Index>(window));
    }
  });
}

// The version of a kernel for windows over images of 2 × 2 or 3 × 3 taps, or for any.
template <class Kernel>
Kernel* kernel_of_size(const Window3d& window, Kernel* two, Kernel* three, Kernel* any) {
  if (window.h.kernel != window.w.kernel) return any;
  return window.h.kernel == 2 ? two : window.h.kernel == 3 ? three : any;
}

}  // namespace dip::cuda
