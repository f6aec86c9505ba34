// What the kernels for few channels have in common: how a thread goes through an image in strips of results.
#pragma once

#include "core/conv2d.h"
#include "cuda/half.h"
#include "ops/conv/cuda/geometry.h"

namespace dip::cuda {

// The taps that a kernel is compiled for: size × size of them, 0 for any number. With `sliding` windows one below the
// other share rows, because the stride is the dilation, and taps lie side by side; a thread computes `strip` results
// one below the other.
template <int size_, bool sliding_, int strip_>
struct TapPlan {
  static constexpr int size = size_, strip = strip_;
  static constexpr bool sliding = sliding_;
  static constexpr int rows = sliding ? strip + size - 1 : size;  // of the image that a thread reads at a time
  static_assert(sliding || rows == size, "windows that share no rows are read one after the other");
};
using ThreeSliding = TapPlan<3, true, 8>;
using Three = TapPlan<3, false, 4>;
using FiveSliding = TapPlan<5, true, 4>;
using AnyTaps = TapPlan<0, false, 4>;

// A convolution as the kernels see it. The gradient of the data with stride 1 is one too: of dy, with the taps in
// reverse, channels and filters changing places.
struct Correlation : Geometry {
  int images, own, others;                     // planes of a result's image; planes of a group that are summed over
  int own_of_group, weight_own, weight_other;  // elements of the weights from one of them to the next
  bool reversed;
  ActivationSpec activation{};

  __device__ int first_row(int oh) const { return oh * stride_h - pad_h; }
  __device__ int first_column(int ow) const { return ow * stride_w - pad_w; }

  // Where tap (r, s) of a plane's weights is.
  __device__ int tap(int r, int s) const {
    return reversed ? (kernel_h - 1 - r) * kernel_w + kernel_w - 1 - s : r * kernel_w + s;
  }

  // Where the weights of plane `within` of a group's results are.
  __device__ int weights_of(int group, int within) const {
    return reversed ? group * others * weight_other + within * weight_own
                    : (group * own_of_group + within) * weight_own;
  }
};

inline Correlation forward_of(const Conv2d& p) {
  const int taps = int(p.taps());
  return {Geometry(p.window),
          int(p.N),
          int(p.K),
          int(p.group_channels()),
          int(p.group_filters()),
          int(p.group_channels()) * taps,
          taps,
          false,
          p.activation};
}

// A result by definition: a tap outside the image adds nothing, whatever its weight. For where the kernels, which take
// a zero for what is outside, have found NaN. They take p as a __grid_constant__, so that no thread copies it for this
// call.
template <class Number>
__device__ DIP_RARE float sum_of_what_meets(const Correlation& p, const Number* plane, const Number* weights, int oh,
                                            int ow) {
  float sum = 0.0f;
  for (int other = 0; other < p.others; ++other, plane += p.in_h * p.in_w, weights += p.weight_other) {
    for (int r = 0; r < p.kernel_h; ++r) {
      const int ih = p.first_row(oh) + r * p.dilation_h;
      if (ih < 0 || ih >= p.in_h) continue;
      for (int s = 0; s < p.kernel_w; ++s) {
        const int iw = p.first_column(ow) + s * p.dilation_w;
        if (iw < 0 || iw >= p.in_w) continue;
        sum = fmaf(plane[ih * p.in_w + iw].widen(), weights[p.tap(r, s)].widen(), sum);
      }
    }
  }
  return sum;
}

// Which rows and columns of its image the windows of a thread's strip meet, a bit for each.
template <class Plan>
struct Field {
  int first;  // the first row's and column's place in a plane, perhaps outside it
  unsigned rows = 0, columns = 0;

  __device__ Field(const Correlation& p, int oh, int ow) : first(p.first_row(oh) * p.in_w + p.first_column(ow)) {
#pragma unroll
    for (int row = 0; row < Plan::rows; ++row) {
      rows |=
          static_cast<unsigned>(p.first_row(oh) + row * p.dilation_h) < static_cast<unsigned>(p.in_h) ? 1u << row : 0;
    }
#pragma unroll
    for (int s = 0; s < Plan::size; ++s) {
      columns |=
          static_cast<unsigned>(p.first_column(ow) + s * p.dilation_w) < static_cast<unsigned>(p.in_w) ? 1u << s : 0;
    }
  }

  // Reads the rows of a plane that begins at element `plane` of x, and calls use(row, values) for each; 0 for what lies
  // outside. Most warps have lanes at an edge: to read without these tests where all is inside would be done besides.
  template <class Number, class Use>
  __device__ void read(const Correlation& p, const Number* x, int plane, const Use& use) const {
    const int row_step = p.dilation_h * p.in_w, column_step = Plan::sliding ? 1 : p.dilation_w;
    int from = plane + first;
#pragma unroll
    for (int row = 0; row < Plan::rows; ++row, from += row_step) {
      float values[Plan::size];
#pragma unroll
      for (int s = 0; s < Plan::size; ++s) {
        const bool inside = (rows >> row & 1u) != 0 && (columns >> s & 1u) != 0;
        values[s] = inside ? x[from + s * column_step].widen() : 0.0f;
      }
      use(row, values);
    }
  }
};

// Calls use(i, r, values) for every row of taps of every window of the strip at (oh, ow).
template <class Plan, class Number, class Use>
__device__ void for_each_window(const Correlation& p, const Number* x, int plane, int oh, int ow, const Use& use) {
  if constexpr (Plan::sliding) {
    const auto use_row = [&](int row, const float (&values)[Plan::size]) {
#pragma unroll
      for (int i = 0; i < Plan::strip; ++i) {
        if (row - i >= 0 && row - i < Plan::size) use(i, row - i, values);
      }
    };
    Field<Plan>(p, oh, ow).read(p, x, plane, use_row);
  } else {
#pragma unroll
    for (int i = 0; i < Plan::strip; ++i) {
      const auto use_row = [&](int r, const float (&values)[Plan::size]) { use(i, r, values); };
      Field<Plan>(p, oh + i, ow).read(p, x, plane, use_row);
    }
  }
}

// Of kernels that add up gradients of weights.
constexpr int weight_threads = 128;

// to[t] = the sum of all threads' sums[t], by a block of weight_threads.
template <int taps>
__device__ void store_block_sums(const float (&sums)[taps], float* to) {
  constexpr int warps = weight_threads / 32;
  constexpr int pitch = weight_threads + 1;  // so that the sums of different taps lie in different banks
  DIP_SHARED_ARRAY(float, all_sums, taps* pitch);
  DIP_SHARED_ARRAY(float, sums_of_warps, taps* warps);
  const int thread = static_cast<int>(threadIdx.x);
#pragma unroll
  for (int t = 0; t < taps; ++t) all_sums[t * pitch + thread] = sums[t];
  __syncthreads();
  if (thread < taps * warps) {
    const int t = thread % taps, warp = thread / taps;
    float sum = 0.0f;
#pragma unroll
    for (int lane = 0; lane < 32; ++lane) sum += all_sums[t * pitch + warp * 32 + lane];
    sums_of_warps[warp * taps + t] = sum;
  }
  __syncthreads();
  if (thread >= taps) return;
  float sum = 0.0f;
#pragma unroll
  for (int warp = 0; warp < warps; ++warp) sum += sums_of_warps[warp * taps + thread];
  to[thread] = sum;
}

// Calls run with the plan for the taps of a window.
template <class Run>
auto with_plan(const Geometry& g, const Run& run) {
  const bool square = g.kernel_h == g.kernel_w, sliding = g.stride_h == g.dilation_h && g.dilation_w == 1;
  if (square && g.kernel_h == 3) return sliding ? run(ThreeSliding{}) : run(Three{});
  if (square && g.kernel_h == 5 && sliding) return run(FiveSliding{});
  return run(AnyTaps{});
}

}  // namespace dip::cuda
