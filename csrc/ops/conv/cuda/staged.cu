// The results of a correlation, a strip of several below each other for several filters a thread: of what is read from
// shared memory, each number of the image serves all filters and each weight the whole strip. While a block multiplies,
// what it needs next is on its way.
#include "ops/conv/cuda/staged.h"

#include <algorithm>
#include <type_traits>

#include "cuda/activation.h"

namespace dip::cuda {
namespace {

constexpr int most_filters = 4;        // of a thread
constexpr int channels_together = 16;  // whose sum is made apart, so that its error does not grow with their number
constexpr int blocks_together = 3;     // that a multiprocessor works on at once

// How a correlation is cut. A unit is a group of an image's channels. The filters of a group are taken in so many sets
// of equal size, its strips in bands, its channels in parts. A block goes through its units so many at a time, and
// through all parts of them.
struct Cut : Correlation {
  int groups, units, units_at_once, unit_blocks, rounds;
  int sets_a_block, set_blocks, strips_a_band, bands, channels_at_once, parts;
  StagedPlanes planes;
  Divisor columns, of_band, of_block;  // take a thread's number apart
  Divisor set_filters, channels;       // and a weight's
  int weights_a_unit, weight_units;    // numbers in shared memory; one group's weights serve all units
  bool weights_stay;                   // for all that a block does

  DIP_HOST_DEVICE int weight_count() const { return weight_units * weights_a_unit; }
  // Weights come first, and every stage at a multiple of 16 bytes.
  DIP_HOST_DEVICE int planes_at() const { return weights_stay ? 0 : weight_count(); }
  DIP_HOST_DEVICE int stage_count() const { return planes_at() + (planes.count() + 3) / 4 * 4; }
};

// Starts to bring the weights of `count` channels from `first` on: [unit][channel][tap][set][filter of the set].
template <int size, int filters, class Number>
__device__ void stage_weights(const Cut& p, Shared<float> to, const Number* weight, int first_unit, int first_set,
                              int first, int count) {
  constexpr int taps = size * size;
  struct Part {
    int u, c, k, tap;
  };
  const auto part = [&](int i) {
    const int tap = i % taps;
    int rest = i / taps;
    const int k = p.set_filters.take_remainder(rest), c = p.channels.take_remainder(rest);
    return Part{rest, c, k, tap};
  };
  const auto place = [&](int i) {
    const Part at = part(i);
    const int line = at.u * p.weights_a_unit + (at.c * taps + at.tap) * p.sets_a_block * most_filters;
    return to + (line + at.k / filters * most_filters + at.k % filters);
  };
  const auto source = [&](int i) {  // −1 where a set has no more filters, or there are no more channels
    const Part at = part(i);
    const int within = first_set * filters + at.k, group = p.groups == 1 ? 0 : (first_unit + at.u) % p.groups;
    if (within >= p.own_of_group || at.c >= count) return -1;
    return p.weights_of(group, within) + (first + at.c) * p.weight_other + (p.reversed ? taps - 1 - at.tap : at.tap);
  };
  const int numbers = p.weight_units * p.channels_at_once * p.sets_a_block * filters * taps;
  bring(static_cast<int>(threadIdx.x), numbers, static_cast<int>(blockDim.x), weight, source, place);
}

template <int size, int filters, int strip, class Number>
__global__ void __launch_bounds__(staged_threads, 2)
    staged_kernel(Cut p, const Number* x, const Number* weight, const Number* bias, Number* y) {
  constexpr int taps = size * size;
  const Shared<float> shared = dynamic_shared<float>();
  const Shared<float> stages = shared + (p.weights_stay ? p.weight_count() : 0);
  int block = static_cast<int>(blockIdx.x);
  const int first_set = block % p.set_blocks * p.sets_a_block;
  block /= p.set_blocks;
  const int first_strip = block % p.bands * p.strips_a_band, first_block = block / p.bands;

  int u = static_cast<int>(threadIdx.x);
  const int ow = p.columns.take_remainder(u), below = p.of_band.take_remainder(u), set = p.of_block.take_remainder(u);
  const bool present = u < p.units_at_once;
  if (!present) u = 0;
  const int plane = p.in_h * p.in_w, oh = (first_strip + below) * strip;

  const auto first_unit_of = [&](int stage) {
    return (first_block + stage / p.parts * p.unit_blocks) * p.units_at_once;
  };
  const auto start = [&](int stage) {
    const Shared<float> to = stages + stage % 2 * p.stage_count();
    const int first_unit = first_unit_of(stage), first = stage % p.parts * p.channels_at_once;
    const int channels = min(p.others - first, p.channels_at_once);
    const int present = min(p.units_at_once, p.units - first_unit) * channels;
    stage_planes(p.planes, to + p.planes_at(), x, first_unit * p.others + first, present, p.in_h, p.in_w,
                 first_strip * strip - p.pad_h, -p.pad_w);
    if (!p.weights_stay) {
      stage_weights<size, filters>(p, to, weight, first_unit, first_set, first, channels);
    }
    copy_async_commit();
  };
  const int count = p.rounds * p.parts;
  clear(stages, min(count, 2) * p.stage_count());
  __syncthreads();
  if (p.weights_stay) stage_weights<size, filters>(p, shared, weight, 0, first_set, 0, p.others);
  start(0);
  float totals[filters][strip] = {}, sums[filters][strip] = {};
  for (int stage = 0; stage < count; ++stage) {
    if (stage + 1 < count) {
      start(stage + 1);
      copy_async_wait<1>();
    } else {
      copy_async_wait<0>();
    }
    __syncthreads();
    const Shared<float> of_stage = stages + stage % 2 * p.stage_count();
    const Shared<float> weights =
        (p.weights_stay ? shared : of_stage) + (p.weight_units == 1 ? 0 : u) * p.weights_a_unit + set * most_filters;
    const Shared<float> images =
        of_stage + p.planes_at() + (u * p.channels_at_once * p.planes.rows + below * strip) * p.planes.pitch + ow;
    const int first = stage % p.parts * p.channels_at_once, channels = min(p.others - first, p.channels_at_once);
    for (int c = 0; c < channels; ++c) {
      const Shared<float> image = images + c * p.planes.rows * p.planes.pitch;
      const Shared<float> of_channel = weights + c * taps * p.sets_a_block * most_filters;
#pragma unroll
      for (int s = 0; s < size; ++s) {
        float column[strip + size - 1];
#pragma unroll
        for (int i = 0; i < strip + size - 1; ++i) column[i] = image[i * p.planes.pitch + s];
#pragma unroll
        for (int r = 0; r < size; ++r) {
          float tap[most_filters];
          read_four(of_channel + (r * size + s) * p.sets_a_block * most_filters, tap);
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
    __syncthreads();  // this stage's memory is the next but one's
    if (stage % p.parts != p.parts - 1) continue;
    const int unit = first_unit_of(stage) + u, group = p.groups == 1 ? 0 : unit % p.groups, n = unit / p.groups;
#pragma unroll
    for (int f = 0; f < filters; ++f) {
      const int within = (first_set + set) * filters + f, own = group * p.own_of_group + within;
      const bool counts = present && unit < p.units && within < p.own_of_group;
      const float shift = counts && bias ? bias[own].widen() : -0.0f;
      float results[strip];
      bool repaired = false;
#pragma unroll
      for (int i = 0; i < strip; ++i) {
        results[i] = totals[f][i] + sums[f][i];
        totals[f][i] = sums[f][i] = 0.0f;
        repaired |= results[i] != results[i];
      }
      if (!counts) continue;
      if (repaired) {
        for (int i = 0; i < strip; ++i) {
          if (results[i] == results[i] || oh + i >= p.out_h) continue;
          results[i] =
              sum_of_what_meets(p, x + unit * p.others * plane, weight + p.weights_of(group, within), oh + i, ow);
        }
      }
#pragma unroll
      for (int i = 0; i < strip; ++i) results[i] += shift;
      activate_all(results, p.activation);
      Number* to = y + ((n * p.own + own) * p.out_h + oh) * p.out_w + ow;
#pragma unroll
      for (int i = 0; i < strip; ++i) {
        if (oh + i < p.out_h) to[i * p.out_w] = Number::round(results[i]);
      }
    }
  }
}

// `strip` results of a thread below each other; `spread`: the sets of filters go to different blocks.
template <int size, int filters, int strip, class Number>
void run(const Correlation& p, int sets, bool spread, const Number* x, const Number* weight, const Number* bias,
         Number* y) {
  const int groups = p.own / p.own_of_group, strips = divide_up(p.out_h, strip), units = p.images * groups;
  const int bands = divide_up(strips, std::max(1, staged_threads / p.out_w)), strips_a_band = divide_up(strips, bands);
  const int positions = p.out_w * strips_a_band;
  const int set_blocks = divide_up(sets, spread ? 1 : std::max(1, staged_threads / positions));
  const int sets_a_block = divide_up(sets, set_blocks), of_unit = positions * sets_a_block;
  const int rows = strips_a_band * strip + size - 1, pitch = p.out_w + size - 1;
  const int of_weights = size * size * sets_a_block * most_filters, of_plane = rows * pitch;  // for each channel
  // Several units where one would leave the block small, and one after the other where there are more blocks than the
  // GPU works on at once.
  const int wanted = blocks_together * multiprocessors(), of_others = bands * set_blocks;
  const int few = std::max(1, units * of_others / wanted);
  const auto fit = [&](int at_once) {  // channels, everything twice
    return staged_floats() / (2 * (at_once * of_plane + (groups == 1 ? 1 : at_once) * of_weights));
  };
  int units_at_once = std::max(1, std::min({staged_threads / of_unit, few, units}));
  while (units_at_once > 1 && fit(units_at_once) < p.others) --units_at_once;
  const int channels_at_once = std::clamp(fit(units_at_once), 1, p.others);
  const int parts = divide_up(p.others, channels_at_once), all = divide_up(units, units_at_once);
  const int rounds = divide_up(all, std::max(1, std::min(all, wanted / of_others)));
  const int unit_blocks = divide_up(all, rounds);
  const Cut cut{p,
                groups,
                units,
                units_at_once,
                unit_blocks,
                rounds,
                sets_a_block,
                set_blocks,
                strips_a_band,
                bands,
                channels_at_once,
                parts,
                StagedPlanes(units_at_once * channels_at_once, rows, pitch, pitch, p.in_w),
                Divisor(p.out_w),
                Divisor(strips_a_band),
                Divisor(sets_a_block),
                Divisor(sets_a_block * filters),
                Divisor(channels_at_once),
                channels_at_once * of_weights,
                groups == 1 ? 1 : units_at_once,
                groups == 1 && parts == 1};
  const int stages = std::min(rounds * parts, 2), numbers = cut.stage_count() * stages;
  const auto shared = static_cast<std::size_t>(numbers + (cut.weights_stay ? cut.weight_count() : 0)) * sizeof(float);
  launch(staged_kernel<size, filters, strip, Number>, Grid{static_cast<unsigned>(unit_blocks * of_others)},
         static_cast<unsigned>(divide_up(of_unit * units_at_once, 32) * 32), shared, cut, x, weight, bias, y);
}

template <int size, class Number>
void run_for_filters(const Correlation& p, const Number* x, const Number* weight, const Number* bias, Number* y) {
  const int sets = divide_up(p.own_of_group, most_filters);
  // So few images leave multiprocessors idle: then threads and blocks have less to do each.
  const bool few = p.images * (p.own / p.own_of_group) < multiprocessors();
  const auto go = [&](auto filters) {
    if (few) {
      run<size, filters(), 2>(p, sets, true, x, weight, bias, y);
    } else {
      run<size, filters(), 4>(p, sets, false, x, weight, bias, y);
    }
  };
  switch (divide_up(p.own_of_group, sets)) {
    case 1:
    case 2: return go(std::integral_constant<int, 2>{});
    case 3: return go(std::integral_constant<int, 3>{});
    default: return go(std::integral_constant<int, 4>{});
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
