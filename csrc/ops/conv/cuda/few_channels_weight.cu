// The gradient of the weights of convolutions of few channels. A block adds, for one filter and one of its channels,
// what so many strips of results give; the blocks' sums are added in float64.
#include <algorithm>

#include "cuda/divisor.h"
#include "cuda/sum.h"
#include "ops/conv/cuda/few_channels.h"
#include "ops/conv/cuda/few_channels_strips.h"
#include "ops/conv/cuda/quads.h"
#include "ops/conv/cuda/staged.h"

namespace dip::cuda {
namespace {

// blockIdx.x is the pair of filter and channel, and where a block has only one tap the tap; blockIdx.y the part of the
// strips.
struct WeightPart : Correlation {
  int strips, strips_a_part;  // of all images; whole images' strips lie side by side
  int across;                 // threads side by side; the others are on other strips
  Divisor of_image;           // by the strips of one

  __device__ int gradients_of(int n) const { return n * own * out_h * out_w; }
  __device__ int plane_of(int n) const { return n * (own / own_of_group) * others * in_h * in_w; }
};

// sum_of_what_meets for what one thread has to add to one tap.
template <class Number>
__device__ DIP_RARE float tap_sum_of_what_meets(const WeightPart& p, int strip, const Number* dy, const Number* x,
                                                int tap, int begin, int end, int first_column, int step) {
  const int r = tap / p.kernel_w, s = tap % p.kernel_w;
  float sum = 0.0f;
  for (int q = begin; q < end; q += step) {
    int n = q;
    const int oh = p.of_image.take_remainder(n) * strip;
    const Number *gradients = dy + p.gradients_of(n), *plane = x + p.plane_of(n);
    for (int ow = first_column; ow < p.out_w; ow += p.across) {
      const int iw = p.first_column(ow) + s * p.dilation_w;
      for (int i = 0; i < strip && oh + i < p.out_h; ++i) {
        const int ih = p.first_row(oh + i) + r * p.dilation_h;
        if (ih < 0 || ih >= p.in_h || iw < 0 || iw >= p.in_w) continue;
        sum = fmaf(gradients[(oh + i) * p.out_w + ow].widen(), plane[ih * p.in_w + iw].widen(), sum);
      }
    }
  }
  return sum;
}

template <class Plan, class Number>
__global__ void __launch_bounds__(weight_threads)
    weight_kernel(const __grid_constant__ WeightPart p, const Number* dy, const Number* x, float* parts) {
  constexpr int taps = Plan::size > 0 ? Plan::size * Plan::size : 1, strip = Plan::strip;
  const int all_taps = p.kernel_h * p.kernel_w, block = static_cast<int>(blockIdx.x);
  const int pair = Plan::size > 0 ? block : block / all_taps, first_tap = Plan::size > 0 ? 0 : block % all_taps;
  const int own = pair / p.others, other = pair % p.others, group = own / p.own_of_group;
  const int begin = static_cast<int>(blockIdx.y) * p.strips_a_part, end = min(p.strips, begin + p.strips_a_part);
  const int thread = static_cast<int>(threadIdx.x), column = thread % p.across, step = weight_threads / p.across;
  const int first = begin + thread / p.across;
  dy += own * p.out_h * p.out_w;
  x += (group * p.others + other) * p.in_h * p.in_w;

  float sums[taps] = {};
  for (int q = first; q < end; q += step) {
    int n = q;
    const int oh = p.of_image.take_remainder(n) * strip, gradients = p.gradients_of(n), plane = p.plane_of(n);
    for (int ow = column; ow < p.out_w; ow += p.across) {
      float g[strip];
#pragma unroll
      for (int i = 0; i < strip; ++i) {
        const bool inside = oh + i < p.out_h;
        g[i] = inside ? dy[static_cast<unsigned>(gradients + (oh + i) * p.out_w + ow)].widen() : 0.0f;
      }
      if constexpr (Plan::size > 0) {
        for_each_window<Plan>(p, x, plane, oh, ow, [&](int i, int r, const float (&values)[Plan::size]) {
#pragma unroll
          for (int s = 0; s < Plan::size; ++s) {
            sums[r * Plan::size + s] = fmaf(g[i], values[s], sums[r * Plan::size + s]);
          }
        });
      } else {
        const int iw = p.first_column(ow) + first_tap % p.kernel_w * p.dilation_w;
#pragma unroll
        for (int i = 0; i < strip; ++i) {
          const int ih = p.first_row(oh + i) + first_tap / p.kernel_w * p.dilation_h;
          const bool valid = static_cast<unsigned>(ih) < static_cast<unsigned>(p.in_h) &&
                             static_cast<unsigned>(iw) < static_cast<unsigned>(p.in_w);
          sums[0] = fmaf(g[i], valid ? x[plane + ih * p.in_w + iw].widen() : 0.0f, sums[0]);
        }
      }
    }
  }
#pragma unroll
  for (int t = 0; t < taps; ++t) {
    if (sums[t] != sums[t]) {
      sums[t] = tap_sum_of_what_meets(p, strip, dy, x, first_tap + t, first, end, column, step);
    }
  }
  store_block_sums(sums, parts + (static_cast<int>(blockIdx.y) * p.own * p.others + pair) * all_taps + first_tap);
}

}  // namespace

void conv2d_backward_weight_few(const Conv2d& p, Reals dy, Reals x, RealResults dweight) {
  const Correlation forward = forward_of(p);
  if (forward.others == 1 && can_be_quads(forward)) return conv2d_backward_weight_by_quads(forward, dy, x, dweight);
  if (can_stage_weights(forward)) return conv2d_backward_weight_staged(forward, dy, x, dweight);
  const int count = int(p.weight_count()), pairs = int(p.K * p.group_channels());
  with_plan(forward, [&](auto plan) {
    using Plan = decltype(plan);
    const int strips_of_image = divide_up(forward.out_h, Plan::strip);
    WeightPart part{forward, int(p.N) * strips_of_image, 0, 1, Divisor(strips_of_image)};
    while (part.across < part.out_w && part.across < weight_threads) part.across *= 2;
    // So many parts as a GPU with Hopper's registers works on at once, but a block has four strips a thread at least.
    constexpr int at_once = Plan::size == 5 ? 5 : 7;
    const int blocks = pairs * (Plan::size > 0 ? 1 : int(p.taps())), together = weight_threads / part.across;
    const int wanted = std::max(1, at_once * multiprocessors() / blocks),
              most = std::max(1, part.strips / (4 * together));
    // No thread's sum has more than some hundred terms.
    const int columns = divide_up(part.out_w, part.across), longest = std::max(1, 64 / columns) * together;
    const int parts = std::max({std::min(wanted, most), divide_up(part.strips, longest), 1});
    part.strips_a_part = divide_up(part.strips, parts);
    const DeviceScratch<float> sums(std::int64_t{parts} * count);
    with_number(x.dtype, [&](auto* null) {
      using Number = std::remove_pointer_t<decltype(null)>;
      launch(weight_kernel<Plan, Number>, Grid{static_cast<unsigned>(blocks), static_cast<unsigned>(parts)},
             static_cast<unsigned>(weight_threads), std::size_t{0}, part, static_cast<const Number*>(dy.data),
             static_cast<const Number*>(x.data), sums.data());
      sum_channels(parts, count, 1, sums.data(), dweight);
    });
  });
}

}  // namespace dip::cuda
