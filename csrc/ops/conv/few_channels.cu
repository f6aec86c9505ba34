// Each thread computes some results one below the other, so that a row of the image that it reads serves several of
// them. Numbers are read as they are stored and multiplied in float32.
#include "ops/conv/few_channels.h"

#include <algorithm>

#include "core/device_divisor.h"
#include "core/gemm_plan.h"
#include "core/half.h"
#include "core/scalar_math.h"
#include "ops/conv/direct.h"
#include "ops/conv/geometry_device.h"

namespace dip::cuda {
namespace {

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

int divide_up(int a, int b) {
  return (a + b - 1) / b;
}

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

// A result by definition: a tap outside the image adds nothing, whatever its weight. For where the kernels, which take
// a zero for what is outside, have found NaN.
template <class Number>
__device__ DIP_RARE float sum_of_what_meets(Correlation p, const Number* plane, const Number* weights, int oh, int ow) {
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

  __device__ bool is_inside() const { return rows == (1u << Plan::rows) - 1 && columns == (1u << Plan::size) - 1; }

  // Reads the rows of a plane that begins at element `plane` of x, and calls use(row, values) for each; 0 for what lies
  // outside, which is nothing where `all` is inside.
  template <bool all, class Number, class Use>
  __device__ void read(const Correlation& p, const Number* x, int plane, const Use& use) const {
    const int row_step = p.dilation_h * p.in_w, column_step = Plan::sliding ? 1 : p.dilation_w;
    int from = plane + first;
#pragma unroll
    for (int row = 0; row < Plan::rows; ++row, from += row_step) {
      float values[Plan::size];
#pragma unroll
      for (int s = 0; s < Plan::size; ++s) {
        const bool inside = all || ((rows >> row & 1u) != 0 && (columns >> s & 1u) != 0);
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
    const Field<Plan> field(p, oh, ow);
    if (field.is_inside()) {
      field.template read<true>(p, x, plane, use_row);
    } else {
      field.template read<false>(p, x, plane, use_row);
    }
  } else {
#pragma unroll
    for (int i = 0; i < Plan::strip; ++i) {
      const auto use_row = [&](int r, const float (&values)[Plan::size]) { use(i, r, values); };
      Field<Plan>(p, oh + i, ow).template read<false>(p, x, plane, use_row);
    }
  }
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
    correlate_kernel(Correlation p, Parts parts, int count, const Number* x, const Number* weight, const Number* bias,
                     Number* y) {
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
    const Number* weights =
        weight + (p.reversed ? group * p.others * p.weight_other + within * p.weight_own : own * p.weight_own);
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
      store([&](float sum) { return activate(sum + shift, p.activation.kind, p.activation.alpha); });
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
  Divisor of_image;           // by the strips of one

  __device__ int gradients_of(int n) const { return n * own * out_h * out_w; }
  __device__ int plane_of(int n) const { return n * (own / own_of_group) * others * in_h * in_w; }
};

// sum_of_what_meets for what one thread has to add to one tap.
template <class Number>
__device__ DIP_RARE float tap_sum_of_what_meets(WeightPart p, int strip, const Number* dy, const Number* x, int tap,
                                                int begin, int end, int first_column, int step) {
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
    weight_kernel(WeightPart p, const Number* dy, const Number* x, float* parts) {
  constexpr int taps = Plan::size > 0 ? Plan::size * Plan::size : 1, strip = Plan::strip, warps = weight_threads / 32;
  constexpr int pitch = weight_threads + 1;  // so that the sums of different taps lie in different banks
  DIP_SHARED_ARRAY(float, all_sums, taps* pitch);
  DIP_SHARED_ARRAY(float, sums_of_warps, taps* warps);
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
    all_sums[t * pitch + thread] = sums[t];
  }
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

// Calls run with the plan for the taps of a window.
template <class Run>
auto with_plan(const Geometry& g, const Run& run) {
  const bool square = g.kernel_h == g.kernel_w, sliding = g.stride_h == g.dilation_h && g.dilation_w == 1;
  if (square && g.kernel_h == 3) return sliding ? run(ThreeSliding{}) : run(Three{});
  if (square && g.kernel_h == 5 && sliding) return run(FiveSliding{});
  return run(AnyTaps{});
}

void correlate(const Correlation& p, Reals x, Reals weight, Reals bias, RealResults y) {
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
  const Correlation forward = forward_of(p);
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
      launch_elements(add_weight_parts_kernel<Number>, count, count, parts, static_cast<const float*>(sums.data()),
                      static_cast<Number*>(dweight.data));
    });
  });
}

}  // namespace dip::cuda
