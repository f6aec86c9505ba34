// Each thread computes four results one below the other, so that a row of the image that it reads serves up to four of
// them. Numbers are read as they are stored and multiplied in float32.
#include "ops/conv/few_channels.h"

#include <algorithm>

#include "core/gemm_plan.h"
#include "core/half.h"
#include "core/scalar_math.h"
#include "ops/conv/direct.h"
#include "ops/conv/geometry_device.h"

namespace dip::cuda {
namespace {

constexpr int strip = 4;  // results one below the other

__device__ int divide_up(int a, int b) {
  return (a + b - 1) / b;
}

// A convolution as the kernels see it. The gradient of the data with stride 1 is one too: of dy, with the taps in
// reverse, channels and filters changing places.
struct Correlation : Geometry {
  int images, own, others;                     // planes of a result's image; planes of a group that are summed over
  int own_of_group, weight_own, weight_other;  // elements of the weights from one of them to the next
  bool reversed;
  ActivationSpec activation{};

  // Where tap (r, s) of a plane's weights is.
  __device__ int tap(int r, int s) const {
    return reversed ? (kernel_h - 1 - r) * kernel_w + kernel_w - 1 - s : r * kernel_w + s;
  }
};

Correlation forward_of(const Conv2d& p) {
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

// The first of the weights that result plane `own` of an image has for the first of the planes it sums over.
__device__ int weights_of(const Correlation& p, int own) {
  const int group = own / p.own_of_group;
  return p.reversed ? group * p.others * p.weight_other + own % p.own_of_group * p.weight_own : own * p.weight_own;
}

// A result by definition: a tap outside the image adds nothing, whatever its weight. For where the kernels, which take
// a zero for what is outside, have found NaN.
template <class Number>
__device__ DIP_RARE float sum_of_what_meets(Correlation p, const Number* plane, const Number* weights, int oh, int ow) {
  float sum = 0.0f;
  for (int other = 0; other < p.others; ++other, plane += p.in_h * p.in_w, weights += p.weight_other) {
    for (int r = 0; r < p.kernel_h; ++r) {
      const int ih = oh * p.stride_h + r * p.dilation_h - p.pad_h;
      if (ih < 0 || ih >= p.in_h) continue;
      for (int s = 0; s < p.kernel_w; ++s) {
        const int iw = ow * p.stride_w + s * p.dilation_w - p.pad_w;
        if (iw < 0 || iw >= p.in_w) continue;
        sum = fmaf(plane[ih * p.in_w + iw].widen(), weights[p.tap(r, s)].widen(), sum);
      }
    }
  }
  return sum;
}

// Reads for `rows` of taps, one below the other, what the taps of a row meet in column `ow`, and calls
// use(row, values) for each; 0 for what lies outside.
template <int size, int rows, class Number, class Use>
__device__ void read_rows(const Correlation& p, const Number* plane, int oh, int ow, const Use& use) {
  const int left = ow * p.stride_w - p.pad_w, top = oh * p.stride_h - p.pad_h;
#pragma unroll
  for (int row = 0; row < rows; ++row) {
    const int ih = top + row * p.dilation_h;
    const bool inside = static_cast<unsigned>(ih) < static_cast<unsigned>(p.in_h);
    float values[size];
#pragma unroll
    for (int s = 0; s < size; ++s) {
      const int iw = left + s * p.dilation_w;
      const bool valid = inside && static_cast<unsigned>(iw) < static_cast<unsigned>(p.in_w);
      values[s] = valid ? plane[ih * p.in_w + iw].widen() : 0.0f;
    }
    use(row, values);
  }
}

// size × size taps. With `sliding` windows one below the other share rows: the stride is the dilation.
template <int size, bool sliding, class Number>
__device__ void add_plane(const Correlation& p, const Number* plane, const Number* weights, int oh, int ow,
                          float (&sums)[strip]) {
  float taps[size][size];
#pragma unroll
  for (int r = 0; r < size; ++r) {
#pragma unroll
    for (int s = 0; s < size; ++s) taps[r][s] = weights[p.tap(r, s)].widen();
  }
  const auto add = [&](int i, int r, const float (&values)[size]) {
#pragma unroll
    for (int s = 0; s < size; ++s) sums[i] = fmaf(values[s], taps[r][s], sums[i]);
  };
  if constexpr (sliding) {
    read_rows<size, strip + size - 1>(p, plane, oh, ow, [&](int row, const float (&values)[size]) {
#pragma unroll
      for (int i = 0; i < strip; ++i) {
        if (row - i >= 0 && row - i < size) add(i, row - i, values);
      }
    });
  } else {
#pragma unroll
    for (int i = 0; i < strip; ++i) {
      read_rows<size, size>(p, plane, oh + i, ow, [&](int r, const float (&values)[size]) { add(i, r, values); });
    }
  }
}

// The same for any number of taps.
template <class Number>
__device__ void add_plane_of_any(const Correlation& p, const Number* plane, const Number* weights, int oh, int ow,
                                 float (&sums)[strip]) {
  for (int r = 0; r < p.kernel_h; ++r) {
    for (int s = 0; s < p.kernel_w; ++s) {
      const float tap = weights[p.tap(r, s)].widen();
      const int iw = ow * p.stride_w + s * p.dilation_w - p.pad_w;
      const bool inside = static_cast<unsigned>(iw) < static_cast<unsigned>(p.in_w);
#pragma unroll
      for (int i = 0; i < strip; ++i) {
        const int ih = (oh + i) * p.stride_h + r * p.dilation_h - p.pad_h;
        const bool valid = inside && static_cast<unsigned>(ih) < static_cast<unsigned>(p.in_h);
        sums[i] = fmaf(valid ? plane[ih * p.in_w + iw].widen() : 0.0f, tap, sums[i]);
      }
    }
  }
}

// size 0: any number of taps.
template <int size, bool sliding, class Number>
__global__ void __launch_bounds__(threads_per_block, size == 3 ? 3 : 1)
    correlate_kernel(Correlation p, int count, const Number* x, const Number* weight, const Number* bias, Number* y) {
  constexpr int planes_together = 16;  // whose sum is made apart, so that its error does not grow with their number
  const int strips = divide_up(p.out_h, strip);
  for (int i = static_cast<int>(first_element()); i < count; i += static_cast<int>(element_step())) {
    const int ow = i % p.out_w, row = i / p.out_w, oh = row % strips * strip;
    const int own = row / strips % p.own, n = row / strips / p.own, group = own / p.own_of_group;
    const int groups = p.own / p.own_of_group;
    const Number* plane = x + (n * groups + group) * p.others * p.in_h * p.in_w;
    const Number* weights = weight + weights_of(p, own);
    float totals[strip] = {}, sums[strip] = {};
    for (int other = 0; other < p.others; ++other) {
      const Number *at = plane + other * p.in_h * p.in_w, *taps = weights + other * p.weight_other;
      if constexpr (size > 0) {
        add_plane<size, sliding>(p, at, taps, oh, ow, sums);
      } else {
        add_plane_of_any(p, at, taps, oh, ow, sums);
      }
      if (other % planes_together == planes_together - 1) {
#pragma unroll
        for (int k = 0; k < strip; ++k) {
          totals[k] += sums[k];
          sums[k] = 0.0f;
        }
      }
    }
    Number* to = y + (n * p.own + own) * p.out_h * p.out_w + ow;
    const float shift = bias ? bias[own].widen() : 0.0f;
#pragma unroll
    for (int k = 0; k < strip; ++k) {
      if (oh + k >= p.out_h) continue;
      float sum = totals[k] + sums[k];
      if (sum != sum) sum = sum_of_what_meets(p, plane, weights, oh + k, ow);
      to[(oh + k) * p.out_w] = Number::round(activate(bias ? sum + shift : sum, p.activation.kind, p.activation.alpha));
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
      for (int r = 0; r < p.kernel_h; ++r) {
        const int top = ih + p.pad_h - r * p.dilation_h, oh = top / p.stride_h;
        if (top < 0 || oh * p.stride_h != top || oh >= p.out_h) continue;
        for (int s = 0; s < p.kernel_w; ++s) {
          const int left = iw + p.pad_w - s * p.dilation_w, ow = left / p.stride_w;
          if (left < 0 || ow * p.stride_w != left || ow >= p.out_w) continue;
          sum = fmaf(gradients[oh * p.out_w + ow].widen(), weights[r * p.kernel_w + s].widen(), sum);
        }
      }
      total += sum;
    }
    dx[i] = Number::round(total);
  }
}

// The gradient of the weights: a block adds, for one filter and one of its channels, what so many strips of results
// give. blockIdx.x is the pair, and where a block has only one tap the tap; blockIdx.y the part of the strips.
constexpr int weight_threads = 128;

struct WeightPart : Correlation {
  int strips, strips_a_part;  // of all images; whole images' strips lie side by side
  int across;                 // threads side by side; the others are on other strips
};

// sum_of_what_meets for what one thread has to add to one tap.
template <class Number>
__device__ DIP_RARE float tap_sum_of_what_meets(WeightPart p, const Number* dy, const Number* x, int r, int s,
                                                int begin, int end, int first_column, int step) {
  const int rows = divide_up(p.out_h, strip);
  float sum = 0.0f;
  for (int q = begin; q < end; q += step) {
    const int n = q / rows, oh = q % rows * strip;
    const Number* gradients = dy + n * p.own * p.out_h * p.out_w;
    const Number* plane = x + n * (p.own / p.own_of_group) * p.others * p.in_h * p.in_w;
    for (int ow = first_column; ow < p.out_w; ow += p.across) {
      const int iw = ow * p.stride_w + s * p.dilation_w - p.pad_w;
      for (int i = 0; i < strip && oh + i < p.out_h; ++i) {
        const int ih = (oh + i) * p.stride_h + r * p.dilation_h - p.pad_h;
        if (ih < 0 || ih >= p.in_h || iw < 0 || iw >= p.in_w) continue;
        sum = fmaf(gradients[(oh + i) * p.out_w + ow].widen(), plane[ih * p.in_w + iw].widen(), sum);
      }
    }
  }
  return sum;
}

template <int size, bool sliding, class Number>
__global__ void __launch_bounds__(weight_threads)
    weight_kernel(WeightPart p, const Number* dy, const Number* x, float* parts) {
  constexpr int taps = size > 0 ? size * size : 1;
  DIP_SHARED_ARRAY(float, partial, weight_threads / 32 * taps);
  const int all_taps = p.kernel_h * p.kernel_w, block = static_cast<int>(blockIdx.x);
  const int pair = size > 0 ? block : block / all_taps, first_tap = size > 0 ? 0 : block % all_taps;
  const int own = pair / p.others, other = pair % p.others;
  const int rows = divide_up(p.out_h, strip), group = own / p.own_of_group;
  const int begin = static_cast<int>(blockIdx.y) * p.strips_a_part, end = min(p.strips, begin + p.strips_a_part);
  const int thread = static_cast<int>(threadIdx.x), column = thread % p.across, step = weight_threads / p.across;
  dy += own * p.out_h * p.out_w;
  x += (group * p.others + other) * p.in_h * p.in_w;

  float sums[taps] = {};
  for (int q = begin + thread / p.across; q < end; q += step) {
    const int n = q / rows, oh = q % rows * strip;
    const Number* gradients = dy + n * p.own * p.out_h * p.out_w;
    const Number* plane = x + n * (p.own / p.own_of_group) * p.others * p.in_h * p.in_w;
    for (int ow = column; ow < p.out_w; ow += p.across) {
      float g[strip];
#pragma unroll
      for (int i = 0; i < strip; ++i) g[i] = oh + i < p.out_h ? gradients[(oh + i) * p.out_w + ow].widen() : 0.0f;
      if constexpr (size == 0) {
        const int iw = ow * p.stride_w + first_tap % p.kernel_w * p.dilation_w - p.pad_w;
#pragma unroll
        for (int i = 0; i < strip; ++i) {
          const int ih = (oh + i) * p.stride_h + first_tap / p.kernel_w * p.dilation_h - p.pad_h;
          const bool valid = static_cast<unsigned>(ih) < static_cast<unsigned>(p.in_h) &&
                             static_cast<unsigned>(iw) < static_cast<unsigned>(p.in_w);
          sums[0] = fmaf(g[i], valid ? plane[ih * p.in_w + iw].widen() : 0.0f, sums[0]);
        }
      } else if constexpr (sliding) {
        read_rows<size, strip + size - 1>(p, plane, oh, ow, [&](int row, const float (&values)[size]) {
#pragma unroll
          for (int i = 0; i < strip; ++i) {
            if (row - i < 0 || row - i >= size) continue;
#pragma unroll
            for (int s = 0; s < size; ++s)
              sums[(row - i) * size + s] = fmaf(g[i], values[s], sums[(row - i) * size + s]);
          }
        });
      } else {
#pragma unroll
        for (int i = 0; i < strip; ++i) {
          read_rows<size, size>(p, plane, oh + i, ow, [&](int r, const float (&values)[size]) {
#pragma unroll
            for (int s = 0; s < size; ++s) sums[r * size + s] = fmaf(g[i], values[s], sums[r * size + s]);
          });
        }
      }
    }
  }
#pragma unroll
  for (int t = 0; t < taps; ++t) {
    if (sums[t] != sums[t]) {
      const int tap = first_tap + t;
      sums[t] = tap_sum_of_what_meets(p, dy, x, tap / p.kernel_w, tap % p.kernel_w, begin + thread / p.across, end,
                                      column, step);
    }
#pragma unroll
    for (int mask = 16; mask > 0; mask /= 2) sums[t] += shuffle_xor(sums[t], mask);
    if (thread % 32 == 0) partial[thread / 32 * taps + t] = sums[t];
  }
  __syncthreads();
  if (thread >= taps) return;
  float sum = 0.0f;
  for (int warp = 0; warp < weight_threads / 32; ++warp) sum += partial[warp * taps + thread];
  parts[(static_cast<int>(blockIdx.y) * p.own * p.others + pair) * all_taps + first_tap + thread] = sum;
}

template <class Number>
__global__ void add_weight_parts_kernel(int count, int parts, const float* part, Number* dweight) {
  for (int i = static_cast<int>(first_element()); i < count; i += static_cast<int>(element_step())) {
    double sum = 0.0;
    for (int k = 0; k < parts; ++k) sum += part[static_cast<std::int64_t>(k) * count + i];
    dweight[i] = Number::round(static_cast<float>(sum));
  }
}

enum class Taps { three, three_sliding, five_sliding, any };

Taps taps_of(const Geometry& g) {
  const bool sliding = g.stride_h == g.dilation_h;
  if (g.kernel_h != g.kernel_w) return Taps::any;
  if (g.kernel_h == 3) return sliding ? Taps::three_sliding : Taps::three;
  return g.kernel_h == 5 && sliding ? Taps::five_sliding : Taps::any;
}

void correlate(const Correlation& p, Reals x, Reals weight, Reals bias, RealResults y) {
  const int count = p.images * p.own * ((p.out_h + strip - 1) / strip) * p.out_w;
  with_number(x.dtype, [&](auto* null) {
    using Number = std::remove_pointer_t<decltype(null)>;
    const auto run = [&](auto kernel) {
      launch_elements(kernel, count, p, count, static_cast<const Number*>(x.data),
                      static_cast<const Number*>(weight.data), static_cast<const Number*>(bias.data),
                      static_cast<Number*>(y.data));
    };
    switch (taps_of(p)) {
      case Taps::three: return run(correlate_kernel<3, false, Number>);
      case Taps::three_sliding: return run(correlate_kernel<3, true, Number>);
      case Taps::five_sliding: return run(correlate_kernel<5, true, Number>);
      case Taps::any: return run(correlate_kernel<0, false, Number>);
    }
  });
}

}  // namespace

bool has_few_channels(const Conv2d& p) {
  if (!fits_32_bits(p)) return false;
  if (p.groups > 1) return p.group_filters() < 8 || p.group_channels() < 8;
  // Beyond so many pairs of planes the images are read too often. To be confirmed by measurements.
  return p.K * p.C <= 128 && taps_of(Geometry(p.window)) == Taps::five_sliding && may_avoid_tiles();
}

void conv2d_forward_few(const Conv2d& p, Reals x, Reals weight, Reals bias, RealResults y) {
  correlate(forward_of(p), x, weight, bias, y);
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

void conv2d_backward_weight_few(const Conv2d& p, Reals dy, Reals x, RealResults dweight) {
  WeightPart part{forward_of(p), 0, 0, 1};
  const Taps taps = taps_of(part);
  const int count = int(p.weight_count()), pairs = int(p.K * p.group_channels());
  part.strips = int(p.N) * ((part.out_h + strip - 1) / strip);
  while (part.across < part.out_w && part.across < weight_threads) part.across *= 2;
  // So many parts that there are eight blocks for each multiprocessor, but a block has two strips a thread at least.
  const int blocks = pairs * (taps == Taps::any ? int(p.taps()) : 1), together = weight_threads / part.across;
  const int wanted = std::max(1, 8 * multiprocessors() / blocks), most = std::max(1, part.strips / (2 * together));
  // No thread's sum has more than some hundred terms.
  const int columns = (part.out_w + part.across - 1) / part.across, longest = std::max(1, 64 / columns) * together;
  const int parts = std::max({std::min(wanted, most), (part.strips + longest - 1) / longest, 1});
  part.strips_a_part = (part.strips + parts - 1) / parts;
  const DeviceScratch<float> sums(std::int64_t{parts} * count);
  with_number(x.dtype, [&](auto* null) {
    using Number = std::remove_pointer_t<decltype(null)>;
    const auto run = [&](auto kernel) {
      launch(kernel, Grid{static_cast<unsigned>(blocks), static_cast<unsigned>(parts)},
             static_cast<unsigned>(weight_threads), std::size_t{0}, part, static_cast<const Number*>(dy.data),
             static_cast<const Number*>(x.data), sums.data());
    };
    switch (taps) {
      case Taps::three: run(weight_kernel<3, false, Number>); break;
      case Taps::three_sliding: run(weight_kernel<3, true, Number>); break;
      case Taps::five_sliding: run(weight_kernel<5, true, Number>); break;
      case Taps::any: run(weight_kernel<0, false, Number>); break;
    }
    launch_elements(add_weight_parts_kernel<Number>, count, count, parts, static_cast<const float*>(sums.data()),
                    static_cast<Number*>(dweight.data));
  });
}

}  // namespace dip::cuda
