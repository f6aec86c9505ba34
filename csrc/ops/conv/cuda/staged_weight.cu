// The gradient of the weights: a thread has all taps of one pair of filter and channel, and goes along rows of the
// gradient, of which each number meets a window of the image that moves through registers. Threads of the same pair
// have different pieces of rows.
#include <algorithm>

#include "cuda/sum.h"
#include "ops/conv/cuda/staged.h"

namespace dip::cuda {
namespace {

constexpr int piece_of_row = 15;  // a multiple of both sizes
constexpr int most_terms = 256;   // of a thread's float32 sum
constexpr int most_pairs = 128;   // of a group

// How the sums are cut. A unit is a group; a block has some units, some images and a band of rows.
struct WeightCut : Correlation {
  int groups, units_a_block, images_a_block, rows_a_band, bands, pairs, pieces, piece, splits;
  StagedPlanes gradients, planes;
  Divisor of_pair, of_split;  // take a thread's number apart
};

// What a thread adds to one tap of its pair, by definition: for where a zero taken for what is outside has met an
// infinity or NaN.
template <class Number>
__device__ DIP_RARE float tap_sum_of_what_meets(const WeightCut& p, int tap, int split, int first_row, int first_image,
                                                int last_image, const Number* dy, const Number* x) {
  const int r = tap / p.kernel_w, s = tap % p.kernel_w;
  float sum = 0.0f;
  for (int n = first_image; n < last_image; ++n) {
    const Number* gradients = dy + n * p.own * p.out_h * p.out_w;
    const Number* plane = x + n * p.groups * p.others * p.in_h * p.in_w;
    for (int item = split; item < p.rows_a_band * p.pieces; item += p.splits) {
      const int oh = first_row + item / p.pieces, ih = p.first_row(oh) + r, begin = item % p.pieces * p.piece;
      if (oh >= p.out_h || ih < 0 || ih >= p.in_h) continue;
      for (int ow = begin; ow < min(p.out_w, begin + p.piece); ++ow) {
        const int iw = p.first_column(ow) + s;
        if (iw < 0 || iw >= p.in_w) continue;
        sum = fmaf(gradients[oh * p.out_w + ow].widen(), plane[ih * p.in_w + iw].widen(), sum);
      }
    }
  }
  return sum;
}

template <int size, class Number>
__global__ void __launch_bounds__(staged_threads, 2)
    staged_weight_kernel(const __grid_constant__ WeightCut p, const Number* dy, const Number* x, float* parts) {
  constexpr int taps = size * size;
  const Shared<float> gradients = dynamic_shared<float>(), planes = gradients + p.gradients.count();
  const Shared<float> all_sums = dynamic_shared<float>();  // once the planes are done with
  const int band = static_cast<int>(blockIdx.x) % p.bands, first_row = band * p.rows_a_band;
  const int first_group = static_cast<int>(blockIdx.x) / p.bands * p.units_a_block;
  const int first_image = static_cast<int>(blockIdx.y) * p.images_a_block;
  const int last_image = min(p.images, first_image + p.images_a_block);

  const int thread = static_cast<int>(threadIdx.x), threads = static_cast<int>(blockDim.x);
  int u = thread;
  const int pair = p.of_pair.take_remainder(u), split = p.of_split.take_remainder(u);
  const int within = pair % p.own_of_group, other = pair / p.own_of_group, group = first_group + u;
  const bool present = u < p.units_a_block && group < p.groups;
  if (!present) u = 0;

  float sums[taps] = {};
  clear(gradients, p.gradients.count() + p.planes.count());
  for (int n = first_image; n < last_image; ++n) {
    __syncthreads();
    const int present = min(p.units_a_block, p.groups - first_group);
    stage_planes(p.gradients, gradients, dy, n * p.own + first_group * p.own_of_group, present * p.own_of_group,
                 p.out_h, p.out_w, first_row, 0);
    stage_planes(p.planes, planes, x, (n * p.groups + first_group) * p.others, present * p.others, p.in_h, p.in_w,
                 first_row - p.pad_h, -p.pad_w);
    copy_async_commit();
    copy_async_wait<0>();
    __syncthreads();
    for (int item = split; item < p.rows_a_band * p.pieces; item += p.splits) {
      const int row = item / p.pieces, begin = item % p.pieces * p.piece;
      const Shared<float> g =
          gradients + ((u * p.own_of_group + within) * p.gradients.rows + row) * p.gradients.pitch + begin;
      const Shared<float> v = planes + ((u * p.others + other) * p.planes.rows + row) * p.planes.pitch + begin;
      float window[size][size];  // columns of the image, the newest in the place of the oldest
#pragma unroll
      for (int s = 0; s < size - 1; ++s) {
#pragma unroll
        for (int r = 0; r < size; ++r) window[s][r] = v[r * p.planes.pitch + s];
      }
      for (int at = 0; at < p.piece; at += size) {
#pragma unroll
        for (int k = 0; k < size; ++k) {
          constexpr int ahead = size - 1;
          const float gradient = g[at + k];
#pragma unroll
          for (int r = 0; r < size; ++r) window[(k + ahead) % size][r] = v[r * p.planes.pitch + at + k + ahead];
#pragma unroll
          for (int t = 0; t < taps; ++t) {
            sums[t] = fmaf(gradient, window[(k + t % size) % size][t / size], sums[t]);
          }
        }
      }
    }
  }
  __syncthreads();
#pragma unroll
  for (int t = 0; t < taps; ++t) {
    if (present && sums[t] != sums[t]) {
      sums[t] = tap_sum_of_what_meets(p, t, split, first_row, first_image, last_image,
                                      dy + (group * p.own_of_group + within) * p.out_h * p.out_w,
                                      x + (group * p.others + other) * p.in_h * p.in_w);
    }
    all_sums[t * threads + thread] = sums[t];
  }
  __syncthreads();
  const int count = p.own * p.others * taps, part = static_cast<int>(blockIdx.y) * p.bands + band;
  for (int i = thread; i < p.units_a_block * p.pairs * taps; i += threads) {
    int at = i;
    const int of_pair = p.of_pair.take_remainder(at), t = at % taps, unit = at / taps, of_group = first_group + unit;
    if (of_group >= p.groups) continue;
    float sum = 0.0f;
    for (int k = 0; k < p.splits; ++k) sum += all_sums[t * threads + (unit * p.splits + k) * p.pairs + of_pair];
    const int filter = of_group * p.own_of_group + of_pair % p.own_of_group;
    parts[part * count + (filter * p.others + of_pair / p.own_of_group) * taps + t] = sum;
  }
}

// Rows lie in shared memory in whole pieces, an odd number apart, so that the same place of several is in several
// banks.
struct Widths {
  int pieces, piece, width, gradient_pitch, plane_pitch;

  explicit Widths(const Correlation& p)
      : pieces(divide_up(p.out_w, piece_of_row)),
        piece(divide_up(divide_up(p.out_w, pieces), p.kernel_w) * p.kernel_w),
        width(pieces * piece),
        gradient_pitch(width | 1),
        plane_pitch((width + p.kernel_w - 1) | 1) {}
};

template <int size, class Number>
void launch_staged_weights(const Correlation& p, const Number* dy, const Number* x, RealResults dweight) {
  constexpr int taps = size * size;
  const int groups = p.own / p.own_of_group, pairs = p.own_of_group * p.others;
  const auto [pieces, piece, width, gradient_pitch, plane_pitch] = Widths(p);
  // Bands as high as memory lasts, and no thread's sum has too many terms.
  const int of_row = p.own_of_group * gradient_pitch + p.others * plane_pitch;
  const int by_memory = (staged_floats() - p.others * (size - 1) * plane_pitch) / of_row;
  const int by_terms = most_terms * std::max(1, staged_threads / pairs) / width;
  const int bands = divide_up(p.out_h, std::max(1, std::min(by_memory, by_terms))), rows = divide_up(p.out_h, bands);
  const int items = rows * pieces;
  const int rounds = divide_up(items, std::max(1, staged_threads / pairs)), splits = divide_up(items, rounds);
  const int of_unit = p.own_of_group * rows * gradient_pitch + p.others * (rows + size - 1) * plane_pitch;
  const int units = std::max(1, std::min({staged_threads / (pairs * splits), groups, staged_floats() / of_unit}));
  const int wanted = std::max(1, 3 * multiprocessors() / (divide_up(groups, units) * bands));
  const int images = std::clamp(divide_up(p.images, wanted), 1, std::max(1, most_terms / (rounds * piece)));
  const WeightCut cut{p,
                      groups,
                      units,
                      images,
                      rows,
                      bands,
                      pairs,
                      pieces,
                      piece,
                      splits,
                      StagedPlanes(units * p.own_of_group, rows, width, gradient_pitch, p.out_w),
                      StagedPlanes(units * p.others, rows + size - 1, width + size - 1, plane_pitch, p.in_w),
                      Divisor(pairs),
                      Divisor(splits)};
  const int threads = divide_up(units * pairs * splits, 32) * 32, count = p.own * p.others * taps;
  const int parts = divide_up(p.images, images) * bands;
  const auto shared =
      static_cast<std::size_t>(std::max(cut.gradients.count() + cut.planes.count(), taps * threads)) * sizeof(float);
  const DeviceScratch<float> sums(std::int64_t{parts} * count);
  launch(
      staged_weight_kernel<size, Number>,
      Grid{static_cast<unsigned>(divide_up(groups, units) * bands), static_cast<unsigned>(divide_up(p.images, images))},
      static_cast<unsigned>(threads), shared, cut, dy, x, sums.data());
  sum_channels(parts, count, 1, sums.data(), dweight);
}

}  // namespace

bool can_stage_weights(const Correlation& forward) {
  if (!can_be_staged(forward) || forward.own_of_group * forward.others > most_pairs) return false;
  const Widths w(forward);
  return forward.own_of_group * w.gradient_pitch + forward.others * forward.kernel_h * w.plane_pitch <= staged_floats();
}

void conv2d_backward_weight_staged(const Correlation& forward, Reals dy, Reals x, RealResults dweight) {
  with_number(x.dtype, [&](auto* null) {
    using Number = std::remove_pointer_t<decltype(null)>;
    const auto go = [&](auto launch_weights) {
      launch_weights(forward, static_cast<const Number*>(dy.data), static_cast<const Number*>(x.data), dweight);
    };
    forward.kernel_h == 3 ? go(launch_staged_weights<3, Number>) : go(launch_staged_weights<5, Number>);
  });
}

}  // namespace dip::cuda
