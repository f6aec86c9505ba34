// The gradient of the weights: a thread has all taps of one pair of planes, and goes down the image with the rows that
// four numbers of the gradient meet in registers.
#include <algorithm>

#include "cuda/sum.h"
#include "ops/conv/cuda/quads.h"

namespace dip::cuda {
namespace {

constexpr int strip_rows = 8;   // rows of the gradient that a thread goes through at a time
constexpr int most_strips = 8;  // of a thread's float32 sum, 256 terms

struct QuadWeightCut : Correlation {
  int items, items_a_part;  // strips of four columns, of all images
  bool gradients_whole;
  Divisor by_quads, by_strips, by_others, by_own_of_group;

  // Where the strip is that is number `item`: its image, row and column.
  struct Place {
    int n, oh, ow;
  };
  __device__ Place place(int item) const {
    const int ow = by_quads.take_remainder(item) * quad, oh = by_strips.take_remainder(item) * strip_rows;
    return {item, oh, ow};
  }
};

// What one thread adds to one tap, by definition: for where a zero taken for what is outside has met an infinity or
// NaN.
template <class Number>
__device__ DIP_RARE float tap_sum_of_what_meets(const QuadWeightCut& p, int tap, int first, int end, const Number* dy,
                                                int dy_image, const Number* x, int x_image) {
  const int r = tap / p.kernel_w, s = tap % p.kernel_w;
  float sum = 0.0f;
  for (int item = first; item < end; item += weight_threads) {
    const auto at = p.place(item);
    for (int oh = at.oh; oh < min(p.out_h, at.oh + strip_rows); ++oh) {
      for (int ow = at.ow; ow < min(p.out_w, at.ow + quad); ++ow) {
        const int ih = p.first_row(oh) + r, iw = p.first_column(ow) + s;
        if (ih < 0 || ih >= p.in_h || iw < 0 || iw >= p.in_w) continue;
        sum = fmaf(dy[at.n * dy_image + oh * p.out_w + ow].widen(), x[at.n * x_image + ih * p.in_w + iw].widen(), sum);
      }
    }
  }
  return sum;
}

template <int size, int pad, class Number>
__global__ void __launch_bounds__(weight_threads, size == 3 ? 5 : 4)
    quad_weight_kernel(const __grid_constant__ QuadWeightCut p, const Number* dy, const Number* x, float* parts) {
  constexpr int taps = size * size, width = quad + size - 1;
  int own = static_cast<int>(blockIdx.x);
  const int other = p.by_others.take_remainder(own);
  int group = own;
  p.by_own_of_group.take_remainder(group);
  const int dy_plane = p.out_h * p.out_w, x_plane = p.in_h * p.in_w, dy_image = p.own * dy_plane;
  const int x_image = static_cast<int>(p.own / p.by_own_of_group.divisor) * p.others * x_plane;
  dy += own * dy_plane;
  x += (group * p.others + other) * x_plane;
  const int begin = static_cast<int>(blockIdx.y) * p.items_a_part, end = min(p.items, begin + p.items_a_part);
  const int first = begin + static_cast<int>(threadIdx.x);

  float sums[taps] = {};
  for (int item = first; item < end; item += weight_threads) {
    const auto at = p.place(item);
    const Number* row = x + static_cast<unsigned>(at.n * x_image) + p.first_row(at.oh) * p.in_w;
    const Number* gradients = dy + static_cast<unsigned>(at.n * dy_image) + at.oh * p.out_w;
    float window[size][width];  // rows of the image, the newest in the place of the oldest
    const auto read = [&](int i) {
      const bool inside = static_cast<unsigned>(p.first_row(at.oh) + i) < static_cast<unsigned>(p.in_h);
      read_row<width, pad>(row + i * p.in_w, p.first_column(at.ow), p.in_w, inside, window[i % size]);
    };
#pragma unroll
    for (int i = 0; i < size - 1; ++i) read(i);
#pragma unroll
    for (int i = 0; i < strip_rows; ++i, gradients += p.out_w) {
      read(i + size - 1);
      float g[quad];
      if (p.gradients_whole) {
        read_row<quad, 0>(gradients, at.ow, p.out_w, at.oh + i < p.out_h, g);
      } else {
        read_row<quad, unaligned>(gradients, at.ow, p.out_w, at.oh + i < p.out_h, g);
      }
#pragma unroll
      for (int t = 0; t < taps; ++t) {
#pragma unroll
        for (int k = 0; k < quad; ++k) {
          sums[t] = fmaf(g[k], window[(i + t / size) % size][k + t % size], sums[t]);
        }
      }
    }
  }
#pragma unroll
  for (int t = 0; t < taps; ++t) {
    if (sums[t] != sums[t]) sums[t] = tap_sum_of_what_meets(p, t, first, end, dy, dy_image, x, x_image);
  }
  const int pairs = p.own * p.others, pair = static_cast<int>(blockIdx.x);
  store_block_sums(sums, parts + (static_cast<int>(blockIdx.y) * pairs + pair) * taps);
}

template <int size, class Number>
void run(const Correlation& p, Reals dy, Reals x, RealResults dweight) {
  const int quads = divide_up(p.out_w, quad), strips = divide_up(p.out_h, strip_rows),
            items = p.images * strips * quads;
  // So many parts as fill the GPU, but a thread has two strips at least.
  const int pairs = p.own * p.others, wanted = divide_up(8 * multiprocessors(), pairs);
  const int parts =
      std::max({1, divide_up(items, most_strips * weight_threads), std::min(wanted, items / (2 * weight_threads))});
  const QuadWeightCut cut{p,
                          items,
                          divide_up(items, parts),
                          has_whole_quads(dy.data, dy.dtype, p.out_w),
                          Divisor(quads),
                          Divisor(strips),
                          Divisor(p.others),
                          Divisor(p.own_of_group)};
  const int count = pairs * size * size;
  const DeviceScratch<float> sums(std::int64_t{parts} * count);
  const auto go = [&](auto kernel) {
    launch(kernel, Grid{static_cast<unsigned>(pairs), static_cast<unsigned>(parts)},
           static_cast<unsigned>(weight_threads), std::size_t{0}, cut, static_cast<const Number*>(dy.data),
           static_cast<const Number*>(x.data), sums.data());
  };
  const bool whole = has_whole_quads(x.data, x.dtype, p.in_w);
  if (whole && p.pad_w == size / 2) {
    go(quad_weight_kernel<size, size / 2, Number>);
  } else if (whole && p.pad_w == 0) {
    go(quad_weight_kernel<size, 0, Number>);
  } else {
    go(quad_weight_kernel<size, unaligned, Number>);
  }
  sum_channels(parts, count, 1, sums.data(), dweight);
}

}  // namespace

void conv2d_backward_weight_by_quads(const Correlation& forward, Reals dy, Reals x, RealResults dweight) {
  with_number(x.dtype, [&](auto* null) {
    using Number = std::remove_pointer_t<decltype(null)>;
    forward.kernel_h == 3 ? run<3, Number>(forward, dy, x, dweight) : run<5, Number>(forward, dy, x, dweight);
  });
}

}  // namespace dip::cuda
