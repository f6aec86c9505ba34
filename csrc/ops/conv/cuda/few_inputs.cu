// Each thread computes all channels of eight positions of x that the same taps meet, a stride apart: a number of dy
// that it reads serves every channel, and a weight all positions. A block has positions of one phase of the stride, and
// that phase's weights in shared memory; one launch serves all phases.
#include "ops/conv/cuda/few_inputs.h"

#include <algorithm>
#include <numeric>

#include "cuda/divisor.h"
#include "cuda/gemm/plan.h"
#include "cuda/half.h"
#include "ops/conv/cuda/direct.h"
#include "ops/conv/cuda/geometry.h"

namespace dip::cuda {
namespace {

constexpr int strip = 8;
constexpr int most_shared = 48 << 10, bytes_of_tap = 16;
// Of so many filters the part of dy that a block reads stays in the first cache from tap to tap: measured on an H100,
// all 96 of AlexNet's at once are read from memory for each tap.
constexpr int most_filters_at_once = 8;
constexpr int channels_in_memory = 4;  // of a tap's weights, whatever there are: they are read at once

struct FewInputs : Geometry {
  int images, filters, filters_at_once;  // whose weights are in shared memory
  int phases_w, blocks_a_phase;
  int tap_step_h, tap_step_w;  // between the taps of a phase
  Divisor columns, strips;     // positions of a row of a phase, and strips of its rows
};

// The first tap that meets phase `first` of an axis; beyond the last where none does.
__device__ int first_tap(int first, int pad, int dilation, int stride, int taps) {
  int tap = 0;
  while (tap < taps && (first + pad - tap * dilation) % stride != 0) ++tap;
  return tap;
}

// A sum by definition, for where a zero taken for what is outside dy has met an infinity or NaN.
template <class Number>
__device__ DIP_RARE float sum_of_what_meets(FewInputs p, const Number* dy, const Number* weight, int channels, int ih,
                                            int iw) {
  float sum = 0.0f;
  for (int k = 0; k < p.filters; ++k) {
    add_windows_over(p, ih, iw, dy + k * p.out_h * p.out_w, weight + k * channels * p.kernel_h * p.kernel_w, sum);
  }
  return sum;
}

// sums[c][j] += Σ over filters of a number of dy, for position j, times the tap's weight of channel c. `present`: a bit
// for each position that meets dy; with `all` every one does.
template <bool all, int channels, class Number>
__device__ void add_tap(const Number* dy, unsigned from, unsigned row, unsigned plane, unsigned present, int filters,
                        Shared<float> weights, float (&sums)[channels][strip]) {
  for (int k = 0; k < filters; ++k, from += plane) {
    float taps[channels_in_memory], met[strip];
    read_four(weights + k * channels_in_memory, taps);
#pragma unroll
    for (int j = 0; j < strip; ++j) met[j] = all || (present >> j & 1u) != 0 ? dy[from + j * row].widen() : 0.0f;
#pragma unroll
    for (int c = 0; c < channels; ++c) {
#pragma unroll
      for (int j = 0; j < strip; ++j) sums[c][j] = fmaf(met[j], taps[c], sums[c][j]);
    }
  }
}

template <int channels, class Number>
__global__ void __launch_bounds__(threads_per_block, 2)
    few_inputs_kernel(FewInputs p, int count, const Number* dy, const Number* weight, Number* dx) {
  const Shared<float> weights = dynamic_shared<float>();  // [tap of the phase][filter][channel]
  const int plane = p.out_h * p.out_w, phase = static_cast<int>(blockIdx.x) / p.blocks_a_phase;
  const int phase_h = phase / p.phases_w, phase_w = phase % p.phases_w, thread = static_cast<int>(threadIdx.x);
  const int first_r = first_tap(phase_h, p.pad_h, p.dilation_h, p.stride_h, p.kernel_h);
  const int first_s = first_tap(phase_w, p.pad_w, p.dilation_w, p.stride_w, p.kernel_w);
  const int taps_h = (p.kernel_h - first_r + p.tap_step_h - 1) / p.tap_step_h;
  const int taps_w = (p.kernel_w - first_s + p.tap_step_w - 1) / p.tap_step_w;

  const int i = static_cast<int>(blockIdx.x) % p.blocks_a_phase * threads_per_block + thread;
  int n = min(i, count - 1);
  const int column = p.columns.take_remainder(n), row = p.strips.take_remainder(n) * strip;
  float totals[channels][strip] = {};
  for (int first = 0; first < p.filters; first += p.filters_at_once) {
    const int filters = min(p.filters - first, p.filters_at_once);
    __syncthreads();  // the weights before are done with
    for (int at = thread; at < taps_h * taps_w * filters; at += threads_per_block) {
      const int k = at % filters, tap = at / filters;
      const int r = first_r + tap / taps_w * p.tap_step_h, s = first_s + tap % taps_w * p.tap_step_w;
      for (int c = 0; c < channels; ++c) {
        weights[at * channels_in_memory + c] =
            weight[(((first + k) * channels + c) * p.kernel_h + r) * p.kernel_w + s].widen();
      }
    }
    __syncthreads();
    for (int tap = 0; tap < taps_h * taps_w; ++tap) {
      const int r = first_r + tap / taps_w * p.tap_step_h, s = first_s + tap % taps_w * p.tap_step_w;
      // Divisible, as for all taps of the phase.
      const int oh = (phase_h + p.pad_h - r * p.dilation_h) / p.stride_h + row;
      const int ow = (phase_w + p.pad_w - s * p.dilation_w) / p.stride_w + column;
      unsigned present = 0;
#pragma unroll
      for (int j = 0; j < strip; ++j) {
        present |= static_cast<unsigned>(oh + j) < static_cast<unsigned>(p.out_h) ? 1u << j : 0;
      }
      if (present == 0 || static_cast<unsigned>(ow) >= static_cast<unsigned>(p.out_w)) continue;
      const unsigned from = (n * p.filters + first) * plane + oh * p.out_w + ow;
      const Shared<float> of_tap = weights + tap * filters * channels_in_memory;
      float sums[channels][strip] = {};  // apart, so that the error does not grow with the number of taps
      if (present == (1u << strip) - 1) {
        add_tap<true>(dy, from, p.out_w, plane, present, filters, of_tap, sums);
      } else {
        add_tap<false>(dy, from, p.out_w, plane, present, filters, of_tap, sums);
      }
#pragma unroll
      for (int c = 0; c < channels; ++c) {
#pragma unroll
        for (int j = 0; j < strip; ++j) totals[c][j] += sums[c][j];
      }
    }
  }
  const int iw = phase_w + column * p.stride_w;
  if (i >= count || iw >= p.in_w) return;
#pragma unroll
  for (int c = 0; c < channels; ++c) {
#pragma unroll
    for (int j = 0; j < strip; ++j) {
      const int ih = phase_h + (row + j) * p.stride_h;
      if (ih >= p.in_h) continue;
      float sum = totals[c][j];
      if (sum != sum) {
        sum = sum_of_what_meets(p, dy + n * p.filters * plane, weight + c * p.kernel_h * p.kernel_w, channels, ih, iw);
      }
      dx[((n * channels + c) * p.in_h + ih) * p.in_w + iw] = Number::round(sum);
    }
  }
}

}  // namespace

bool has_few_inputs(const Conv2d& p) {
  return p.groups == 1 && p.C <= channels_in_memory && p.taps() <= most_shared / bytes_of_tap && fits_32_bits(p) &&
         may_avoid_tiles();
}

void conv2d_backward_data_few_inputs(const Conv2d& p, Reals dy, Reals weight, RealResults dx) {
  const Geometry g(p.window);
  const int columns = divide_up(g.in_w, g.stride_w), strips = divide_up(divide_up(g.in_h, g.stride_h), strip);
  const int count = int(p.N) * strips * columns;  // threads of a phase
  FewInputs few{g, int(p.N), int(p.K), 0, 0, 0, 0, 0, Divisor(columns), Divisor(strips)};
  few.phases_w = std::min(g.stride_w, g.in_w);
  few.blocks_a_phase = divide_up(count, threads_per_block);
  few.tap_step_h = g.stride_h / std::gcd(g.stride_h, g.dilation_h);
  few.tap_step_w = g.stride_w / std::gcd(g.stride_w, g.dilation_w);
  const int taps = divide_up(g.kernel_h, few.tap_step_h) * divide_up(g.kernel_w, few.tap_step_w);
  few.filters_at_once = std::clamp(most_shared / (taps * bytes_of_tap), 1, std::min(int(p.K), most_filters_at_once));
  const auto shared = static_cast<std::size_t>(taps) * few.filters_at_once * bytes_of_tap;
  const int phases = std::min(g.stride_h, g.in_h) * few.phases_w;
  with_number(dy.dtype, [&](auto* null) {
    using Number = std::remove_pointer_t<decltype(null)>;
    const auto run = [&](auto kernel) {
      launch(kernel, Grid{static_cast<unsigned>(phases * few.blocks_a_phase)}, threads_per_block, shared, few, count,
             static_cast<const Number*>(dy.data), static_cast<const Number*>(weight.data),
             static_cast<Number*>(dx.data));
    };
    switch (p.C) {
      case 1: return run(few_inputs_kernel<1, Number>);
      case 2: return run(few_inputs_kernel<2, Number>);
      case 3: return run(few_inputs_kernel<3, Number>);
      default: return run(few_inputs_kernel<4, Number>);
    }
  });
}

}  // namespace dip::cuda
