// The results of a correlation, four side by side and several such rows below each other a thread.
#include "ops/conv/cuda/quads.h"

#include "cuda/activation.h"

namespace dip::cuda {
namespace {

constexpr int most_planes = 16;  // that are summed over in one float32 sum
constexpr int quad_threads = 128;

struct QuadCut : Correlation {
  int count;  // threads
  bool stores_whole;
  Divisor by_quads, by_strips, by_own, by_own_of_group;
};

template <int size, int pad, class Number>
__global__ void __launch_bounds__(quad_threads, size == 3 && pad != unaligned ? 5 : 4)
    quad_kernel(const __grid_constant__ QuadCut p, const Number* x, const Number* weight, const Number* bias,
                Number* y) {
  constexpr int strip = size == 3 ? 8 : 4, width = quad + size - 1;
  int n = static_cast<int>(blockIdx.x) * quad_threads + static_cast<int>(threadIdx.x);
  if (n >= p.count) return;
  const int ow = p.by_quads.take_remainder(n) * quad, oh = p.by_strips.take_remainder(n) * strip;
  const int own = p.by_own.take_remainder(n);
  int group = own;
  const int within = p.by_own_of_group.take_remainder(group), plane = p.in_h * p.in_w;
  const int first_plane = (n * static_cast<int>(p.own / p.by_own_of_group.divisor) + group) * p.others * plane;
  const Number* weights = weight + p.weights_of(group, within);

  float sums[strip][quad] = {};
  for (int other = 0; other < p.others; ++other) {
    float taps[size * size];
    const int first = other * p.weight_other + p.tap(0, 0), step = p.reversed ? -1 : 1;
#pragma unroll
    for (int t = 0; t < size * size; ++t) taps[t] = weights[first + t * step].widen();
    const Number* row = x + static_cast<unsigned>(first_plane + other * plane) + p.first_row(oh) * p.in_w;
#pragma unroll
    for (int i = 0; i < strip + size - 1; ++i, row += p.in_w) {
      const bool inside = static_cast<unsigned>(p.first_row(oh) + i) < static_cast<unsigned>(p.in_h);
      float values[width];
      read_row<width, pad>(row, p.first_column(ow), p.in_w, inside, values);
#pragma unroll
      for (int r = 0; r < size; ++r) {
        if (i - r < 0 || i - r >= strip) continue;
#pragma unroll
        for (int s = 0; s < size; ++s) {
#pragma unroll
          for (int k = 0; k < quad; ++k) {
            sums[i - r][k] = fmaf(values[k + s], taps[r * size + s], sums[i - r][k]);
          }
        }
      }
    }
  }
  const float shift = bias ? bias[own].widen() : -0.0f;
  Number* to = y + ((n * p.own + own) * p.out_h + oh) * p.out_w + ow;
#pragma unroll
  for (int i = 0; i < strip; ++i, to += p.out_w) {
    if (oh + i >= p.out_h) continue;
    bool repaired = false;
#pragma unroll
    for (int k = 0; k < quad; ++k) repaired |= sums[i][k] != sums[i][k];
    if (repaired) {
#pragma unroll
      for (int k = 0; k < quad; ++k) {
        const bool is_none = sums[i][k] != sums[i][k] && ow + k < p.out_w;
        if (is_none) sums[i][k] = sum_of_what_meets(p, x + first_plane, weights, oh + i, ow + k);
      }
    }
#pragma unroll
    for (int k = 0; k < quad; ++k) sums[i][k] = activate_one_of_many(sums[i][k] + shift, p.activation);
    if (p.stores_whole) {
      write_quad(to, sums[i]);
    } else {
#pragma unroll
      for (int k = 0; k < quad; ++k) {
        if (ow + k < p.out_w) to[k] = Number::round(sums[i][k]);
      }
    }
  }
}

template <int size, class Number>
void run(const Correlation& p, Reals x, Reals weight, Reals bias, RealResults y) {
  constexpr int strip = size == 3 ? 8 : 4;
  const int quads = divide_up(p.out_w, quad), strips = divide_up(p.out_h, strip);
  const QuadCut cut{p,
                    p.images * p.own * strips * quads,
                    has_whole_quads(y.data, y.dtype, p.out_w),
                    Divisor(quads),
                    Divisor(strips),
                    Divisor(p.own),
                    Divisor(p.own_of_group)};
  const auto go = [&](auto kernel) {
    launch(kernel, static_cast<unsigned>(divide_up(cut.count, quad_threads)), static_cast<unsigned>(quad_threads), cut,
           static_cast<const Number*>(x.data), static_cast<const Number*>(weight.data),
           static_cast<const Number*>(bias.data), static_cast<Number*>(y.data));
  };
  const bool whole = p.pad_w == size / 2 && has_whole_quads(x.data, x.dtype, p.in_w);
  whole ? go(quad_kernel<size, size / 2, Number>) : go(quad_kernel<size, unaligned, Number>);
}

}  // namespace

bool can_correlate_by_quads(const Correlation& p) {
  return can_be_quads(p) && p.others <= most_planes;
}

void correlate_by_quads(const Correlation& p, Reals x, Reals weight, Reals bias, RealResults y) {
  if (p.images == 0) return;
  with_number(x.dtype, [&](auto* null) {
    using Number = std::remove_pointer_t<decltype(null)>;
    p.kernel_h == 3 ? run<3, Number>(p, x, weight, bias, y) : run<5, Number>(p, x, weight, bias, y);
  });
}

}  // namespace dip::cuda
