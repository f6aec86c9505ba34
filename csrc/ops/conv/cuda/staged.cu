// The results of a correlation, a strip of several below each other for several filters a thread: of what is read from
// shared memory, each number of the image serves all filters and each weight the whole strip.
#include "ops/conv/cuda/staged.h"

#include <algorithm>

#include "cuda/activation.h"

namespace dip::cuda {
namespace {

constexpr int most_filters = 4;        // of a thread
constexpr int channels_together = 16;  // whose sum is made apart, so that its error does not grow with their number

// How a correlation is cut. A unit is a group of an image's channels. Filters of a group are taken by so many `sets` of
// equal size; strips by `bands`.
struct Cut : Correlation {
  int units, units_a_block, sets, sets_a_block, strips, strips_a_band, bands, set_blocks, channels_at_once;
  StagedPlanes planes;
  Divisor columns, of_band, of_block, channels;  // take a thread's number apart, and a staged plane's
  int weights_a_unit;  // numbers in shared memory; all units share them where there is one group

  DIP_HOST_DEVICE int groups() const { return own / own_of_group; }
  DIP_HOST_DEVICE int weight_units() const { return groups() == 1 ? 1 : units_a_block; }
};

// Brings the weights of `count` channels from `first` on: [unit][channel][tap][set][filter of the set].
template <int size, int filters, class Number>
__device__ void stage_weights(const Cut& p, Shared<float> to, const Number* weight, int first_unit, int first_set,
                              int first, int count) {
  constexpr int taps = size * size;
  const int own = p.sets_a_block * filters, many = own * taps;
  for (int u = 0; u < p.weight_units(); ++u) {
    const int group = (first_unit + u) % p.groups();
    for (int c = 0; c < count; ++c) {
      const Shared<float> of_channel = to + u * p.weights_a_unit + c * taps * p.sets_a_block * most_filters;
      for (int i = static_cast<int>(threadIdx.x); i < many; i += static_cast<int>(blockDim.x)) {
        const int tap = i % taps, k = i / taps, within = first_set * filters + k;
        const int from = p.weights_of(group, within) + (first + c) * p.weight_other;
        of_channel[(tap * p.sets_a_block + k / filters) * most_filters + k % filters] =
            within < p.own_of_group ? weight[from + (p.reversed ? taps - 1 - tap : tap)].widen() : 0.0f;
      }
    }
  }
}

template <int size, int filters, int strip, class Number>
__global__ void __launch_bounds__(staged_threads, 2)
    staged_kernel(Cut p, const Number* x, const Number* weight, const Number* bias, Number* y) {
  constexpr int taps = size * size;
  const Shared<float> weights = dynamic_shared<float>();
  const Shared<float> images = weights + p.weight_units() * p.weights_a_unit;
  int block = static_cast<int>(blockIdx.x);
  const int first_set = block % p.set_blocks * p.sets_a_block;
  block /= p.set_blocks;
  const int first_strip = block % p.bands * p.strips_a_band, first_unit = block / p.bands * p.units_a_block;

  int u = static_cast<int>(threadIdx.x);
  const int ow = p.columns.take_remainder(u), below = p.of_band.take_remainder(u), set = p.of_block.take_remainder(u);
  const bool present = u < p.units_a_block;
  if (!present) u = 0;
  const int unit = first_unit + u, group = unit % p.groups(), n = unit / p.groups(), plane = p.in_h * p.in_w;
  const Shared<float> of_thread = weights + (p.weight_units() == 1 ? 0 : u) * p.weights_a_unit + set * most_filters;

  float totals[filters][strip] = {}, sums[filters][strip] = {};
  for (int first = 0; first < p.others; first += p.channels_at_once) {
    const int channels = min(p.others - first, p.channels_at_once);
    if (first > 0) __syncthreads();
    stage_weights<size, filters>(p, weights, weight, first_unit, first_set, first, channels);
    stage(p.planes, images, x, p.in_h, p.in_w, first_strip * strip - p.pad_h, -p.pad_w, [&](int at) {
      const int c = p.channels.take_remainder(at), of_unit = first_unit + at;
      return of_unit < p.units && c < channels ? (of_unit * p.others + first + c) * plane : -1;
    });
    finish_staging();
    for (int c = 0; c < channels; ++c) {
      const Shared<float> image =
          images + ((u * p.channels_at_once + c) * p.planes.rows + below * strip) * p.planes.pitch + ow;
      const Shared<float> of_channel = of_thread + c * taps * p.sets_a_block * most_filters;
#pragma unroll
      for (int s = 0; s < size; ++s) {
        float column[strip + size - 1];
#pragma unroll
        for (int i = 0; i < strip + size - 1; ++i) column[i] = image[i * p.planes.pitch + s];
#pragma unroll
        for (int r = 0; r < size; ++r) {
          float tap[most_filters];
          const Shared<float> at = of_channel + (r * size + s) * p.sets_a_block * most_filters;
          if constexpr (filters == 1) {
            tap[0] = at[0];
          } else {
            read_four(at, tap);
          }
#pragma unroll
          for (int f = 0; f < filters; ++f) {
#pragma unroll
            for (int i = 0; i < strip; ++i) sums[f][i] = fmaf(column[i + r], tap[f], sums[f][i]);
          }
        }
      }
      if ((first + c + 1) % channels_together != 0) continue;
#pragma unroll
      for (int f = 0; f < filters; ++f) {
#pragma unroll
        for (int i = 0; i < strip; ++i) {
          totals[f][i] += sums[f][i];
          sums[f][i] = 0.0f;
        }
      }
    }
  }
  if (!present || unit >= p.units) return;
  const int oh = (first_strip + below) * strip;
  const bool is_plain = !bias && p.activation.kind == Activation::none;
#pragma unroll
  for (int f = 0; f < filters; ++f) {
    const int within = (first_set + set) * filters + f;
    if (within >= p.own_of_group) continue;
    const int own = group * p.own_of_group + within;
    const float shift = bias ? bias[own].widen() : -0.0f;
    Number* to = y + ((n * p.own + own) * p.out_h + oh) * p.out_w + ow;
#pragma unroll
    for (int i = 0; i < strip; ++i) {
      if (oh + i >= p.out_h) continue;
      float sum = totals[f][i] + sums[f][i];
      if (sum != sum) {
        sum = sum_of_what_meets(p, x + unit * p.others * plane, weight + p.weights_of(group, within), oh + i, ow);
      }
      to[i * p.out_w] = Number::round(is_plain ? sum : activate(sum + shift, p.activation.kind, p.activation.alpha));
    }
  }
}

template <int size, int filters, class Number>
void run(const Correlation& p, int sets, const Number* x, const Number* weight, const Number* bias, Number* y) {
  constexpr int strip = filters == 1 ? 8 : 4;
  const int strips = divide_up(p.out_h, strip), units = p.images * p.own / p.own_of_group;
  const int bands = divide_up(strips, std::max(1, staged_threads / p.out_w)), strips_a_band = divide_up(strips, bands);
  const int positions = p.out_w * strips_a_band;
  const int set_blocks = divide_up(sets, std::max(1, staged_threads / positions));
  const int sets_a_block = divide_up(sets, set_blocks), of_unit = positions * sets_a_block;
  // Several units where one would leave the block small, but not where blocks are few.
  const int rows = strips_a_band * strip + size - 1, pitch = p.out_w + size - 1;
  const int of_channel = rows * pitch + size * size * sets_a_block * most_filters;
  const int blocks_of_units = std::max(1, units * bands * set_blocks / (2 * multiprocessors()));
  const int fit = std::max(1, staged_floats / of_channel);
  const int units_a_block = std::max(1, std::min({staged_threads / of_unit, blocks_of_units, fit, units}));
  const int channels_at_once = std::clamp(fit / units_a_block, 1, p.others);
  const Cut cut{p,
                units,
                units_a_block,
                sets,
                sets_a_block,
                strips,
                strips_a_band,
                bands,
                set_blocks,
                channels_at_once,
                StagedPlanes(units_a_block * channels_at_once, rows, pitch, pitch),
                Divisor(p.out_w),
                Divisor(strips_a_band),
                Divisor(sets_a_block),
                Divisor(channels_at_once),
                channels_at_once * size * size * sets_a_block * most_filters};
  const auto shared =
      static_cast<std::size_t>(cut.weight_units() * cut.weights_a_unit + cut.planes.count()) * sizeof(float);
  const int blocks = divide_up(units, units_a_block) * bands * set_blocks;
  const int threads = divide_up(of_unit * units_a_block, 32) * 32;
  launch(staged_kernel<size, filters, strip, Number>, Grid{static_cast<unsigned>(blocks)},
         static_cast<unsigned>(threads), shared, cut, x, weight, bias, y);
}

template <int size, class Number>
void run_for_filters(const Correlation& p, const Number* x, const Number* weight, const Number* bias, Number* y) {
  const int sets = divide_up(p.own_of_group, most_filters);
  switch (divide_up(p.own_of_group, sets)) {
    case 1: return run<size, 1>(p, sets, x, weight, bias, y);
    case 2: return run<size, 2>(p, sets, x, weight, bias, y);
    case 3: return run<size, 3>(p, sets, x, weight, bias, y);
    default: return run<size, 4>(p, sets, x, weight, bias, y);
  }
}

}  // namespace

void correlate_staged(const Correlation& p, Reals x, Reals weight, Reals bias, RealResults y) {
  if (p.images == 0) return;
  with_number(x.dtype, [&](auto* null) {
    using Number = std::remove_pointer_t<decltype(null)>;
    const auto go = [&](auto run) {
      run(p, static_cast<const Number*>(x.data), static_cast<const Number*>(weight.data),
          static_cast<const Number*>(bias.data), static_cast<Number*>(y.data));
    };
    p.kernel_h == 3 ? go(run_for_filters<3, Number>) : go(run_for_filters<5, Number>);
  });
}

}  // namespace dip::cuda
