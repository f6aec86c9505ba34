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

// Blocks that a multiprocessor works on at once: as many as there are registers for.
template <int filters, int strip>
constexpr int blocks_together = filters * strip > 12 ? 2 : 3;

// How a correlation is cut. A unit is a group of an image's channels. The filters of a group are taken in so many sets
// of equal size, its strips in bands, its channels in parts. A block goes through its units so many at a time, and
// through all parts of them.
struct Cut : Correlation {
  int groups, units, units_at_once, unit_blocks, rounds;
  int sets_a_block, set_blocks, strips_a_band, bands, channels_at_once, parts;
  StagedPlanes planes;
  Divisor columns, of_band, of_block;               // take a thread's number apart
  Divisor by_groups;                                // and a unit's
  Divisor set_filters, channels;                    // and a weight's
  int weights_a_set, weights_a_unit, weight_units;  // numbers in shared memory; one group's weights serve all units
  bool weights_stay;                                // for all that a block does

  DIP_HOST_DEVICE int group_of(int unit) const { return by_groups.take_remainder(unit); }
  DIP_HOST_DEVICE int weight_count() const { return weight_units * weights_a_unit; }
  // Sums of more channels than are added together are kept in shared memory: registers are scarce.
  DIP_HOST_DEVICE bool has_totals() const { return others > channels_together; }
  // Weights come first, and every stage at a multiple of 16 bytes.
  DIP_HOST_DEVICE int planes_at() const { return weights_stay ? 0 : weight_count(); }
  DIP_HOST_DEVICE int stage_count() const { return planes_at() + (planes.count() + 3) / 4 * 4; }
};

// Starts to bring the weights of `count` channels from `first` on: [unit][set][channel][tap][filter of the set].
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
    const int set = at.u * p.weights_a_unit + at.k / filters * p.weights_a_set;
    return to + (set + (at.c * taps + at.tap) * most_filters + at.k % filters);
  };
  const auto source = [&](int i) {  // −1 where a set has no more filters, or there are no more channels
    const Part at = part(i);
    const int within = first_set * filters + at.k, group = p.group_of(first_unit + at.u);
    if (within >= p.own_of_group || at.c >= count) return -1;
    return p.weights_of(group, within) + (first + at.c) * p.weight_other + (p.reversed ? taps - 1 - at.tap : at.tap);
  };
  const int numbers = p.weight_units * p.channels_at_once * p.sets_a_block * filters * taps;
  bring(static_cast<int>(threadIdx.x), numbers, static_cast<int>(blockDim.x), weight, source, place);
}

// Where a thread's results lie: from row oh of column ow on, in plane `plane` of y.
struct Strip {
  int plane, oh, ow;
  bool present;
};

// Neighbouring threads have the two columns of a window of 2 × 2; of strips of two windows each stores one.
template <int strip>
__device__ void store_maxima(const Cut& p, const float (&results)[strip], Strip at, float* y, std::int32_t* indices) {
  constexpr bool two_windows = strip == 4;
  const bool right = at.ow % 2 != 0, lower = two_windows && right;
  const auto from = [&](int row) { return lower ? results[row + strip - 2] : results[row]; };
  const auto give = [&](int row) { return lower || !two_windows ? results[row] : results[row + strip - 2]; };
  float taps[4];  // in the order of their places: the first of equal ones wins, and NaN over all
#pragma unroll
  for (int row = 0; row < 2; ++row) {
    const float own = from(row), other = shuffle_xor(give(row), 1);
    taps[2 * row] = right ? other : own;
    taps[2 * row + 1] = right ? own : other;
  }
  float best = taps[0];
  int which = 0;
#pragma unroll
  for (int tap = 1; tap < 4; ++tap) {
    const bool wins = !(taps[tap] <= best) && best == best;
    best = wins ? taps[tap] : best;
    which = wins ? tap : which;
  }
  const int oh = at.oh / 2 + (lower ? 1 : 0), ow = at.ow / 2, out_h = p.out_h / 2, out_w = p.out_w / 2;
  if (!at.present || oh >= out_h || (right && !two_windows)) return;
  const int to = (at.plane * out_h + oh) * out_w + ow;
  y[to] = best;
  indices[to] = (2 * oh + which / 2) * p.out_w + 2 * ow + which % 2;
}

template <int size, int filters, int strip, class Number>
__global__ void __launch_bounds__(staged_threads, blocks_together<filters, strip>)
    staged_kernel(const __grid_constant__ Cut p, const Number* x, const Number* weight, const Number* bias, Number* y,
                  std::int32_t* indices) {
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

  const int stage_size = p.stage_count();
  const auto first_unit_of = [&](int round) { return (first_block + round * p.unit_blocks) * p.units_at_once; };
  // A stage is a part of the channels in one round. Every second is in the same memory.
  const auto start = [&](int slot, int round, int part) {
    const Shared<float> to = stages + slot * stage_size;
    const int first_unit = first_unit_of(round), first = part * p.channels_at_once;
    const int channels = min(p.others - first, p.channels_at_once);
    const int present = min(p.units_at_once, p.units - first_unit) * channels;
    stage_planes(p.planes, to + p.planes_at(), x, first_unit * p.others + first, present, p.in_h, p.in_w,
                 first_strip * strip - p.pad_h, -p.pad_w);
    if (!p.weights_stay) {
      stage_weights<size, filters>(p, to, weight, first_unit, first_set, first, channels);
    }
    copy_async_commit();
  };
  clear(stages, min(p.rounds * p.parts, 2) * stage_size);
  __syncthreads();
  if (p.weights_stay) stage_weights<size, filters>(p, shared, weight, 0, first_set, 0, p.others);
  start(0, 0, 0);
  const Shared<float> totals = stages + (2 * stage_size + static_cast<int>(threadIdx.x));
  const auto each_total = [&](const auto& use) {
#pragma unroll
    for (int k = 0; k < filters * strip; ++k) use(totals + k * static_cast<int>(blockDim.x), k / strip, k % strip);
  };
  if (p.has_totals()) each_total([](Shared<float> total, int, int) { total[0] = 0.0f; });
  float sums[filters][strip] = {};
  for (int slot = 0, round = 0, part = 0; round < p.rounds; slot ^= 1) {
    const int next_part = part + 1 == p.parts ? 0 : part + 1, next_round = next_part == 0 ? round + 1 : round;
    if (next_round < p.rounds) {
      start(slot ^ 1, next_round, next_part);
      copy_async_wait<1>();
    } else {
      copy_async_wait<0>();
    }
    __syncthreads();
    const Shared<float> of_stage = stages + slot * stage_size;
    const Shared<float> weights =
        (p.weights_stay ? shared : of_stage) + (p.weight_units == 1 ? 0 : u) * p.weights_a_unit + set * p.weights_a_set;
    const Shared<float> images =
        of_stage + p.planes_at() + (u * p.channels_at_once * p.planes.rows + below * strip) * p.planes.pitch + ow;
    const int first = part * p.channels_at_once, channels = min(p.others - first, p.channels_at_once);
    for (int c = 0; c < channels; ++c) {
      const Shared<float> image = images + c * p.planes.rows * p.planes.pitch;
      const Shared<float> of_channel = weights + c * taps * most_filters;
#pragma unroll
      for (int s = 0; s < size; ++s) {
        float column[strip + size - 1];
#pragma unroll
        for (int i = 0; i < strip + size - 1; ++i) column[i] = image[i * p.planes.pitch + s];
#pragma unroll
        for (int r = 0; r < size; ++r) {
          float tap[most_filters];
          read_four(of_channel + (r * size + s) * most_filters, tap);
#pragma unroll
          for (int f = 0; f < filters; ++f) {
#pragma unroll
            for (int i = 0; i < strip; ++i) sums[f][i] = fmaf(column[i + r], tap[f], sums[f][i]);
          }
        }
      }
      if (!p.has_totals() || (first + c + 1) % channels_together != 0) continue;
      each_total([&](Shared<float> total, int f, int i) {
        total[0] += sums[f][i];
        sums[f][i] = 0.0f;
      });
    }
    __syncthreads();  // this stage's memory is the next but one's
    const int unit = first_unit_of(round) + u;
    round = next_round;
    part = next_part;
    if (part != 0) continue;
    if (p.has_totals()) {
      each_total([&](Shared<float> total, int f, int i) {
        sums[f][i] += total[0];
        total[0] = 0.0f;
      });
    }
    int n = unit;
    const int group = p.by_groups.take_remainder(n);
#pragma unroll
    for (int f = 0; f < filters; ++f) {
      const int within = (first_set + set) * filters + f, own = group * p.own_of_group + within;
      const bool counts = present && unit < p.units && within < p.own_of_group;
      const float shift = counts && bias ? bias[own].widen() : -0.0f;
      float results[strip];
      bool repaired = false;
#pragma unroll
      for (int i = 0; i < strip; ++i) {
        results[i] = sums[f][i];
        sums[f][i] = 0.0f;
        repaired |= results[i] != results[i];
      }
      if (!counts && !indices) continue;
      if (counts && repaired) {
        for (int i = 0; i < strip; ++i) {
          if (results[i] == results[i] || oh + i >= p.out_h) continue;
          results[i] =
              sum_of_what_meets(p, x + unit * p.others * plane, weight + p.weights_of(group, within), oh + i, ow);
        }
      }
#pragma unroll
      for (int i = 0; i < strip; ++i) results[i] = activate_one_of_many(results[i] + shift, p.activation);
      if constexpr (std::is_same_v<Number, Single>) {
        if (indices) {
          store_maxima(p, results, {n * p.own + own, oh, ow, counts}, &y->value, indices);
          continue;
        }
      }
      Number* to = y + ((n * p.own + own) * p.out_h + oh) * p.out_w + ow;
#pragma unroll
      for (int i = 0; i < strip; ++i) {
        if (oh + i < p.out_h) to[i * p.out_w] = Number::round(results[i]);
      }
    }
  }
}

// Numbers from one row of a plane to the next, so that the first one of a strip, `strip` rows below, follows those of
// the strip before in the banks of shared memory, as it does in the lanes of a warp; where that can be.
int pitch_of_strips(int out_w, int strip, int size) {
  constexpr int banks = 32;
  const int least = out_w + size - 1;
  for (int pitch = least; pitch < least + banks / 2; ++pitch) {
    if ((strip * pitch - out_w) % banks == 0) return pitch;
  }
  return least;
}

// `strip` results of a thread below each other; `spread`: the sets of filters go to different blocks.
template <int size, int filters, int strip, class Number>
void run(const Correlation& p, int sets, bool spread, const Number* x, const Number* weight, const Number* bias,
         Number* y, std::int32_t* indices) {
  const int groups = p.own / p.own_of_group, strips = divide_up(p.out_h, strip), units = p.images * groups;
  const int bands = divide_up(strips, std::max(1, staged_threads / p.out_w)), strips_a_band = divide_up(strips, bands);
  const int positions = p.out_w * strips_a_band;
  const int set_blocks = divide_up(sets, spread ? 1 : std::max(1, staged_threads / positions));
  const int sets_a_block = divide_up(sets, set_blocks), of_unit = positions * sets_a_block;
  const int rows = strips_a_band * strip + size - 1, pitch = pitch_of_strips(p.out_w, strip, size);
  const int of_weights = size * size * sets_a_block * most_filters, of_plane = rows * pitch;  // for each channel
  // Several units where one would leave the block small, and one after the other where there are more blocks than the
  // GPU works on at once.
  const int wanted = blocks_together<filters, strip> * multiprocessors(), of_others = bands * set_blocks;
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
  int of_set = channels_at_once * size * size * most_filters;
  if (of_set % 32 == 0) of_set += most_filters;  // so that sets lie in different banks
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
                StagedPlanes(units_at_once * channels_at_once, rows, p.out_w + size - 1, pitch, p.in_w),
                Divisor(p.out_w),
                Divisor(strips_a_band),
                Divisor(sets_a_block),
                Divisor(groups),
                Divisor(sets_a_block * filters),
                Divisor(channels_at_once),
                of_set,
                sets_a_block * of_set,
                groups == 1 ? 1 : units_at_once,
                groups == 1 && parts == 1};
  const int threads = divide_up(of_unit * units_at_once, 32) * 32;
  const int totals = cut.has_totals() ? filters * strip * threads : 0;
  const int stages = cut.has_totals() ? 2 : std::min(rounds * parts, 2);
  const auto shared =
      static_cast<std::size_t>(cut.stage_count() * stages + (cut.weights_stay ? cut.weight_count() : 0) + totals) *
      sizeof(float);
  launch(staged_kernel<size, filters, strip, Number>, Grid{static_cast<unsigned>(unit_blocks * of_others)},
         static_cast<unsigned>(threads), shared, cut, x, weight, bias, y, indices);
}

template <int size, class Number>
void run_for_filters(const Correlation& p, const Number* x, const Number* weight, const Number* bias, Number* y,
                     std::int32_t* indices) {
  const int sets = divide_up(p.own_of_group, most_filters);
  // So few threads leave multiprocessors idle: then there are more, and more blocks, that have less to do each.
  constexpr std::int64_t enough = 512;  // for one
  const std::int64_t of_unit = std::int64_t{sets} * p.out_w * divide_up(p.out_h, 4);
  const bool few = p.images * (p.own / p.own_of_group) * of_unit < enough * multiprocessors();
  const auto go = [&](auto filters) {
    if (few) {
      run<size, filters(), 2>(p, sets, true, x, weight, bias, y, indices);
    } else {
      run<size, filters(), 4>(p, sets, false, x, weight, bias, y, indices);
    }
  };
  // Numbers of 16 bits go without the smaller ones: each takes long to compile.
  if constexpr (std::is_same_v<Number, Single>) {
    const int filters = divide_up(p.own_of_group, sets);
    if (filters <= 2) return go(std::integral_constant<int, 2>{});
    if (filters == 3) return go(std::integral_constant<int, 3>{});
  }
  go(std::integral_constant<int, most_filters>{});
}

}  // namespace

void correlate_staged(const Correlation& p, Reals x, Reals weight, Reals bias, RealResults y, std::int32_t* indices) {
  if (p.images == 0) return;
  with_number(x.dtype, [&](auto* null) {
    using Number = std::remove_pointer_t<decltype(null)>;
    const auto go = [&](auto run) {
      run(p, static_cast<const Number*>(x.data), static_cast<const Number*>(weight.data),
          static_cast<const Number*>(bias.data), static_cast<Number*>(y.data), indices);
    };
    p.kernel_h == 3 ? go(run_for_filters<3, Number>) : go(run_for_filters<5, Number>);
  });
}

}  // namespace dip::cuda
