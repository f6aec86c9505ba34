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
#include "ops/conv/cuda/staged.h"

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
__device__ DIP_RARE float sum_of_what_meets(const Geometry& p, int filters, const Number* dy, const Number* weight,
                                            int channels, int ih, int iw) {
  float sum = 0.0f;
  for (int k = 0; k < filters; ++k) {
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
    few_inputs_kernel(const __grid_constant__ FewInputs p, int count, const Number* dy, const Number* weight,
                      Number* dx) {
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
        sum = sum_of_what_meets(p, p.filters, dy + n * p.filters * plane, weight + c * p.kernel_h * p.kernel_w,
                                channels, ih, iw);
      }
      dx[((n * channels + c) * p.in_h + ih) * p.in_w + iw] = Number::round(sum);
    }
  }
}

// Of three channels with the strides and sizes that first layers have. A cell is `stride` elements side by side in all
// channels, in every stride-th row: those of one phase, which a block has. A thread has `cells` of them below each
// other, so that a tap's weights, which come from shared memory, serve as many; fewer, and multiplying would wait for
// them.
template <int kernel_, int stride_>
struct CellPlan {
  static constexpr int kernel = kernel_, stride = stride_, cells = 8, channels = 3, threads = 128;
  static constexpr int taps = kernel * kernel, reach = (kernel - 1) / stride;  // cells that a window begins before
  static constexpr int tap_rows = reach + 1;                                   // of a phase, or one less
  static constexpr int taps_of_phase = tap_rows * kernel, filters_at_once = 16;
  static constexpr int stage = filters_at_once * taps_of_phase * channels_in_memory;  // numbers in shared memory
};

struct Cells : Geometry {
  int filters, count, blocks;  // threads and blocks of a phase
  int first_h, first_w;        // cell
  Divisor columns, rows;       // of cells, rows of a thread's at a time
};

constexpr int most_filters_of_cells = 256;  // for one float32 sum

template <class Plan, class Number>
__global__ void __launch_bounds__(Plan::threads, 3)
    cells_kernel(const __grid_constant__ Cells p, const Number* dy, const Number* weight, Number* dx) {
  constexpr int channels = Plan::channels, stride = Plan::stride, reach = Plan::reach, cells = Plan::cells;
  const Shared<float> stages = dynamic_shared<float>();  // [filter][tap of the phase][channel], twice
  // Phases with more taps come first, so that the last blocks are short.
  constexpr int long_phases = Plan::kernel % stride == 0 ? stride : Plan::kernel % stride;
  const int of_long = static_cast<int>(blockIdx.x) - long_phases * p.blocks;
  const bool is_long = of_long < 0;
  const int phases = is_long ? long_phases : stride - long_phases,
            at = is_long ? static_cast<int>(blockIdx.x) : of_long;
  const int phase = at % phases + (is_long ? 0 : long_phases);
  const int i = at / phases * Plan::threads + static_cast<int>(threadIdx.x);
  int n = min(i, p.count - 1);
  const int cell_w = p.first_w + p.columns.take_remainder(n), cell_h = p.first_h + p.rows.take_remainder(n) * cells;
  const int plane = p.out_h * p.out_w;
  unsigned rows = 0, columns = 0;  // of dy that are there, a bit for each
#pragma unroll
  for (int a = 0; a < cells + reach; ++a) {
    rows |= static_cast<unsigned>(cell_h - reach + a) < static_cast<unsigned>(p.out_h) ? 1u << a : 0;
  }
#pragma unroll
  for (int b = 0; b <= reach; ++b) {
    columns |= static_cast<unsigned>(cell_w - reach + b) < static_cast<unsigned>(p.out_w) ? 1u << b : 0;
  }
  const int corner = n * p.filters * plane + (cell_h - reach) * p.out_w + cell_w - reach;

  const auto start = [&](int first, int stage) {
    const int count = min(p.filters - first, Plan::filters_at_once) * channels * Plan::taps_of_phase;
    const auto row_of = [&](int at) { return phase + at / Plan::kernel % Plan::tap_rows * stride; };
    bring(
        static_cast<int>(threadIdx.x), count, Plan::threads, weight + first * channels * Plan::taps,
        [&](int at) {
          const int plane_of_weights = at / Plan::taps_of_phase, r = row_of(at);
          return r < Plan::kernel ? plane_of_weights * Plan::taps + r * Plan::kernel + at % Plan::kernel : -1;
        },
        [&](int at) {
          const int tap = at % Plan::taps_of_phase, rest = at / Plan::taps_of_phase, c = rest % channels;
          const int k = rest / channels;
          return stages + (stage * Plan::stage + (k * Plan::taps_of_phase + tap) * channels_in_memory + c);
        });
    copy_async_commit();
  };
  float sums[cells][stride][channels] = {};
  start(0, 0);
  for (int first = 0, stage = 0; first < p.filters; first += Plan::filters_at_once, stage ^= 1) {
    if (first + Plan::filters_at_once < p.filters) {
      start(first + Plan::filters_at_once, stage ^ 1);
      copy_async_wait<1>();
    } else {
      copy_async_wait<0>();
    }
    __syncthreads();
    const int filters = min(p.filters - first, Plan::filters_at_once);
    for (int k = 0; k < filters; ++k) {
      const int from = corner + (first + k) * plane;
      float gradients[cells + reach][reach + 1];
#pragma unroll
      for (int a = 0; a < cells + reach; ++a) {
#pragma unroll
        for (int b = 0; b <= reach; ++b) {
          const bool there = (rows >> a & 1u) != 0 && (columns >> b & 1u) != 0;
          gradients[a][b] = there ? dy[from + a * p.out_w + b].widen() : 0.0f;
        }
      }
      const Shared<float> of_filter = stages + (stage * Plan::stage + k * Plan::taps_of_phase * channels_in_memory);
#pragma unroll
      for (int a = 0; a < Plan::tap_rows; ++a) {
        if (phase + a * stride >= Plan::kernel) break;
#pragma unroll
        for (int s = 0; s < Plan::kernel; ++s) {
          float tap[channels_in_memory];
          read_four(of_filter + (a * Plan::kernel + s) * channels_in_memory, tap);
#pragma unroll
          for (int j = 0; j < cells; ++j) {
            const float gradient = gradients[j + reach - a][reach - s / stride];
#pragma unroll
            for (int c = 0; c < channels; ++c) {
              sums[j][s % stride][c] = fmaf(gradient, tap[c], sums[j][s % stride][c]);
            }
          }
        }
      }
    }
    __syncthreads();  // this stage's memory is the next but one's
  }
  if (i >= p.count) return;
#pragma unroll
  for (int at = 0; at < cells * stride; ++at) {
    const int j = at / stride, s = at % stride;
    const int ih = (cell_h + j) * stride + phase - p.pad_h, iw = cell_w * stride + s - p.pad_w;
    if (ih < 0 || ih >= p.in_h || iw < 0 || iw >= p.in_w) continue;
#pragma unroll
    for (int c = 0; c < channels; ++c) {
      float sum = sums[j][s][c];
      if (sum != sum) {
        sum = sum_of_what_meets(p, p.filters, dy + n * p.filters * plane, weight + c * Plan::taps, channels, ih, iw);
      }
      dx[((n * channels + c) * p.in_h + ih) * p.in_w + iw] = Number::round(sum);
    }
  }
}

bool has_cells(const Conv2d& p) {
  const Axis &h = p.window.h, &w = p.window.w;
  if (p.N == 0 || p.C != 3 || p.K > most_filters_of_cells || h.kernel != w.kernel || h.stride != w.stride) return false;
  const bool is_known = h.stride == 4 ? h.kernel == 11 : h.stride == 2 && (h.kernel == 3 || h.kernel == 7);
  return is_known && h.dilation == 1 && w.dilation == 1;
}

// Of a convolution that has_cells().
template <class Number>
void run_cells(const Conv2d& p, const Number* dy, const Number* weight, Number* dx) {
  const Geometry g(p.window);
  const auto run = [&](auto plan) {
    using Plan = decltype(plan);
    const auto cells_of = [](int first, int in, int pad) { return (in - 1 + pad) / Plan::stride - first + 1; };
    const int first_h = g.pad_h / Plan::stride, first_w = g.pad_w / Plan::stride;
    const int columns = cells_of(first_w, g.in_w, g.pad_w);
    const int rows = divide_up(cells_of(first_h, g.in_h, g.pad_h), Plan::cells), count = int(p.N) * rows * columns;
    const int blocks = divide_up(count, Plan::threads);
    const Cells cells{g, int(p.K), count, blocks, first_h, first_w, Divisor(columns), Divisor(rows)};
    launch(cells_kernel<Plan, Number>, Grid{static_cast<unsigned>(Plan::stride * blocks)},
           static_cast<unsigned>(Plan::threads), 2 * Plan::stage * sizeof(float), cells, dy, weight, dx);
  };
  switch (g.kernel_h) {
    case 11: return run(CellPlan<11, 4>{});
    case 7: return run(CellPlan<7, 2>{});
    default: return run(CellPlan<3, 2>{});
  }
}

}  // namespace

bool has_few_inputs(const Conv2d& p) {
  return p.groups == 1 && p.C <= channels_in_memory && p.taps() <= most_shared / bytes_of_tap && fits_32_bits(p) &&
         may_avoid_tiles();
}

void conv2d_backward_data_few_inputs(const Conv2d& p, Reals dy, Reals weight, RealResults dx) {
  const auto whole = [&](auto* null) {
    using Number = std::remove_pointer_t<decltype(null)>;
    run_cells(p, static_cast<const Number*>(dy.data), static_cast<const Number*>(weight.data),
              static_cast<Number*>(dx.data));
  };
  if (has_cells(p)) return with_number(dy.dtype, whole);
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
