// Each thread computes some results one below the other, so that a row of the image that it reads serves several of
// them. Numbers are read as they are stored and multiplied in float32.
#include "ops/conv/cuda/few_channels.h"

#include <utility>

#include "cuda/activation.h"
#include "cuda/divisor.h"
#include "cuda/gemm/plan.h"
#include "ops/conv/cuda/direct.h"
#include "ops/conv/cuda/few_channels_strips.h"
#include "ops/conv/cuda/quads.h"
#include "ops/conv/cuda/staged.h"

namespace dip::cuda {
namespace {

Correlation backward_data_of(const Conv2d& p) {
  const int taps = int(p.taps());
  Correlation c{Geometry(p.window),
                int(p.N),
                int(p.C),
                int(p.group_filters()),
                int(p.group_channels()),
                taps,
                int(p.group_channels()) * taps,
                true,
                {}};
  std::swap(c.in_h, c.out_h);
  std::swap(c.in_w, c.out_w);
  c.pad_h = c.dilation_h * (c.kernel_h - 1) - c.pad_h;
  c.pad_w = c.dilation_w * (c.kernel_w - 1) - c.pad_w;
  return c;
}

// sums[i] += what the taps of one plane give the results of a strip.
template <class Plan, class Number>
__device__ void add_plane(const Correlation& p, const Number* x, int plane, const Number* weights, int oh, int ow,
                          float (&sums)[Plan::strip]) {
  if constexpr (Plan::size > 0) {
    float taps[Plan::size][Plan::size];
    const int first = p.tap(0, 0), step = p.reversed ? -1 : 1;
#pragma unroll
    for (int t = 0; t < Plan::size * Plan::size; ++t) {
      taps[t / Plan::size][t % Plan::size] = weights[first + t * step].widen();
    }
    for_each_window<Plan>(p, x, plane, oh, ow, [&](int i, int r, const float (&values)[Plan::size]) {
#pragma unroll
      for (int s = 0; s < Plan::size; ++s) sums[i] = fmaf(values[s], taps[r][s], sums[i]);
    });
  } else {
    for (int r = 0; r < p.kernel_h; ++r) {
      for (int s = 0; s < p.kernel_w; ++s) {
        const float tap = weights[p.tap(r, s)].widen();
        const int iw = p.first_column(ow) + s * p.dilation_w;
        const bool inside = static_cast<unsigned>(iw) < static_cast<unsigned>(p.in_w);
#pragma unroll
        for (int i = 0; i < Plan::strip; ++i) {
          const int ih = p.first_row(oh + i) + r * p.dilation_h;
          const bool valid = inside && static_cast<unsigned>(ih) < static_cast<unsigned>(p.in_h);
          sums[i] = fmaf(valid ? x[plane + ih * p.in_w + iw].widen() : 0.0f, tap, sums[i]);
        }
      }
    }
  }
}

// How an index is taken apart into column, strip, plane and image.
struct Parts {
  Divisor columns, strips, own, own_of_group;
};

// `share` neighbouring lanes share the planes that a strip is summed over, so that few results occupy more of the GPU:
// each adds every share-th plane, and then a tree adds the lanes.
template <class Plan, int share, class Number>
__global__ void __launch_bounds__(threads_per_block, Plan::size == 3 ? 3 : 1)
    correlate_kernel(const __grid_constant__ Correlation p, Parts parts, int count, const Number* x,
                     const Number* weight, const Number* bias, Number* y) {
  constexpr int planes_together = 16;  // whose sum is made apart, so that its error does not grow with their number
  constexpr int strip = Plan::strip;
  static_assert(share == 1 || share == strip, "each lane stores one of the strip's results");
  // Lanes beyond the end go along with the last, because those of a warp wait for each other.
  const int padded = (count * share + 31) / 32 * 32 / share;
  for (int i = static_cast<int>(first_element()) / share; i < padded; i += static_cast<int>(element_step()) / share) {
    int rest = min(i, count - 1);
    const int part = static_cast<int>(threadIdx.x) % share, ow = parts.columns.take_remainder(rest);
    const int oh = parts.strips.take_remainder(rest) * strip, own = parts.own.take_remainder(rest), n = rest;
    int group = own;
    const int within = parts.own_of_group.take_remainder(group);
    const int plane = p.in_h * p.in_w, groups = p.own / p.own_of_group;
    const int first_plane = (n * groups + group) * p.others * plane;
    const Number* weights = weight + p.weights_of(group, within);
    float totals[strip] = {}, sums[strip] = {};
    for (int other = part, added = 1; other < p.others; other += share, ++added) {
      add_plane<Plan>(p, x, first_plane + other * plane, weights + other * p.weight_other, oh, ow, sums);
      if (added % planes_together != 0) continue;
#pragma unroll
      for (int k = 0; k < strip; ++k) {
        totals[k] += sums[k];
        sums[k] = 0.0f;
      }
    }
#pragma unroll
    for (int k = 0; k < strip; ++k) {
      sums[k] += totals[k];
#pragma unroll
      for (int mask = 1; mask < share; mask *= 2) sums[k] += shuffle_xor(sums[k], mask);
    }
    const int to = ((n * p.own + own) * p.out_h + oh) * p.out_w + ow, present = i < count ? p.out_h - oh : 0;
    const auto store = [&](const auto& finish) {
#pragma unroll
      for (int k = 0; k < strip; ++k) {
        if (k >= present || (share > 1 && k != part)) continue;
        if (sums[k] != sums[k]) sums[k] = sum_of_what_meets(p, x + first_plane, weights, oh + k, ow);
        y[to + k * p.out_w] = Number::round(finish(sums[k]));
      }
    };
    if (!bias && p.activation.kind == Activation::none) {
      store([](float sum) { return sum; });
    } else {
      const float shift = bias ? bias[own].widen() : -0.0f;
      store([&](float sum) { return activate_one_of_many(sum + shift, p.activation); });
    }
  }
}

// dx where the stride is not 1: what the windows that meet an element give it.
template <class Number>
__global__ void strided_data_kernel(Geometry p, int count, int channels, int filters, int groups, const Number* dy,
                                    const Number* weight, Number* dx) {
  const int taps = p.kernel_h * p.kernel_w;
  for (int i = static_cast<int>(first_element()); i < count; i += static_cast<int>(element_step())) {
    const int iw = i % p.in_w, ih = i / p.in_w % p.in_h, plane = i / p.in_w / p.in_h;
    const int c = plane % channels, group = plane / channels % groups, n = plane / channels / groups;
    const Number* gradients = dy + (n * groups + group) * filters * p.out_h * p.out_w;
    const Number* weights = weight + (group * filters * channels + c) * taps;
    float total = 0.0f;
    for (int k = 0; k < filters; ++k, gradients += p.out_h * p.out_w, weights += channels * taps) {
      float sum = 0.0f;
      add_windows_over(p, ih, iw, gradients, weights, sum);
      total += sum;
    }
    dx[i] = Number::round(total);
  }
}

void correlate(const Correlation& p, Reals x, Reals weight, Reals bias, RealResults y) {
  if (p.own_of_group == 1 && can_correlate_by_quads(p)) return correlate_by_quads(p, x, weight, bias, y);
  if (p.own_of_group > 1 && can_be_staged(p)) return correlate_staged(p, x, weight, bias, y);
  with_plan(p, [&](auto plan) {
    using Plan = decltype(plan);
    const int strips = divide_up(p.out_h, Plan::strip), count = p.images * p.own * strips * p.out_w;
    const Parts parts{Divisor(p.out_w), Divisor(strips), Divisor(p.own), Divisor(p.own_of_group)};
    with_number(x.dtype, [&](auto* null) {
      using Number = std::remove_pointer_t<decltype(null)>;
      const auto run = [&](auto kernel, int share) {
        // Whole warps: their lanes wait for each other.
        const std::int64_t threads = (std::int64_t{count} * share + 31) / 32 * 32;
        launch_elements(kernel, threads, p, parts, count, static_cast<const Number*>(x.data),
                        static_cast<const Number*>(weight.data), static_cast<const Number*>(bias.data),
                        static_cast<Number*>(y.data));
      };
      constexpr int share = 4;
      if constexpr (Plan::strip == share) {
        const bool fills_gpu = count >= 512 * multiprocessors();
        if (!fills_gpu && p.others >= share) return run(correlate_kernel<Plan, share, Number>, share);
      }
      run(correlate_kernel<Plan, 1, Number>, 1);
    });
  });
}

}  // namespace

bool has_few_channels(const Conv2d& p) {
  if (!fits_32_bits(p)) return false;
  if (p.groups > 1) return p.group_filters() < 8 || p.group_channels() < 8;
  // Beyond so many pairs of planes the images are read too often.
  const auto is_five = [](auto plan) { return std::is_same_v<decltype(plan), FiveSliding>; };
  return p.K * p.C <= 128 && with_plan(Geometry(p.window), is_five) && may_avoid_tiles();
}

void conv2d_forward_few(const Conv2d& p, Reals x, Reals weight, Reals bias, RealResults y) {
  correlate(forward_of(p), x, weight, bias, y);
}

bool pools_few_channels(const Conv2d& p, const Window2d& pool) {
  return has_few_channels(p) && p.group_filters() > 1 && can_be_staged(Geometry(p.window)) && can_pool_staged(p, pool);
}

void conv2d_max_pool2d_forward_few(const Conv2d& p, const float* x, const float* weight, const float* bias, float* y,
                                   std::int32_t* indices) {
  correlate_staged(forward_of(p), x, weight, bias, y, indices);
}

void conv2d_backward_data_few(const Conv2d& p, Reals dy, Reals weight, RealResults dx) {
  if (p.window.h.stride == 1 && p.window.w.stride == 1) {
    return correlate(backward_data_of(p), dy, weight, static_cast<const float*>(nullptr), dx);
  }
  with_number(dy.dtype, [&](auto* null) {
    using Number = std::remove_pointer_t<decltype(null)>;
    const int count = int(p.x_count());
    launch_elements(strided_data_kernel<Number>, count, Geometry(p.window), count, int(p.group_channels()),
                    int(p.group_filters()), int(p.groups), static_cast<const Number*>(dy.data),
                    static_cast<const Number*>(weight.data), static_cast<Number*>(dx.data));
  });
}

}  // namespace dip::cuda
