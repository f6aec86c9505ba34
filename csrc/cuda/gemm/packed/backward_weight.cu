// The gradient of a convolution with respect to weight as a product of packed numbers.
#include "cuda/gemm/packed/convolution.h"

#include "cuda/gemm/packed/launch.h"
#include "cuda/gemm/packed/problem.h"

namespace dip::cuda {
namespace {

// Filters × (taps and channels), summed over images and positions. The sums lie as they come, taps × channels of a
// filter, so that neighbouring threads write side by side.
struct BackwardWeight : PackedOperands {
  static constexpr bool a_across = true, b_across = true, has_few_tiles = false;
  float* sums;  // of each split, one after the other
  bool rows_side_by_side = false;

  BackwardWeight(const Conv2d& p, const PackedView& view, const Packed& gradients, const Packed& images)
      : PackedOperands(view, p.N, gradients, images, int(p.group_filters()), int(p.taps()) * view.channels,
                       int(p.N * p.window.h.output * p.window.w.output)) {}

  std::int64_t count() const { return std::int64_t{groups} * rows * columns; }

  __device__ void begin(const AlikeBatches&, int group, int split) {
    PackedOperands::begin(group);
    sums += static_cast<std::int64_t>(split * groups + group) * rows * columns;
  }
  __device__ int a_at(int position) const { return position * a_padded; }

  // Behind the last position come zeros only where no other group or part follows.
  bool can_map(int parts) const { return PackedOperands::can_map(parts) && (depth % 64 == 0 || groups * parts == 1); }
  template <class T>
  TensorMap map_a() const {
    return map_lines(a, {a_padded, depth, T::parts * groups, 1}, 1, T::A::lines);
  }
  template <class T>
  __device__ void copy_a(Shared<Bits> to, const TensorMap& map, Shared<PhaseBarrier> barrier, int part, int d,
                         int i) const {
    for (int column = 0; column < T::rows / 64; ++column) {
      copy_lines_async(to + column * T::A::lines * 64, map, barrier, i + column * 64, d, part * groups + group, 0);
    }
  }
  __device__ int out_at(int j) const { return j; }
  __device__ void store(int i, int out, float sum) const { sums[i * columns + out] = sum; }
};

// dweight from the sums, [split][filter][tap][channel, filled up to `padded`], where it is [filter][channel / folded]
// [tap][channel % folded]. A block has so many channels of a filter and turns them around in shared memory; of `folded`
// channels there is nothing to turn.
struct WeightSums {
  const float* sums;
  int splits, padded, channels, taps, folded, at_once;  // at_once is a multiple of folded
  std::int64_t split_size;

  __host__ __device__ bool turns() const { return at_once > folded; }
};

__global__ void finish_weights_kernel(WeightSums p, RealResults dweight) {
  const Shared<float> turned = dynamic_shared<float>();
  const int pieces = (p.channels + p.at_once - 1) / p.at_once, filter = static_cast<int>(blockIdx.x) / pieces;
  const int first = static_cast<int>(blockIdx.x) % pieces * p.at_once, count = min(p.at_once, p.channels - first);
  const float* sums = p.sums + static_cast<std::int64_t>(filter) * p.taps * p.padded + first;
  const std::int64_t to = (static_cast<std::int64_t>(filter) * p.channels + first) * p.taps;
  for (int e = static_cast<int>(threadIdx.x); e < count * p.taps; e += threads_per_block) {
    const int c = e % count, tap = e / count, place = (c / p.folded * p.taps + tap) * p.folded + c % p.folded;
    const float sum = sum_of_splits(sums + tap * p.padded + c, p.splits, p.split_size);
    if (p.turns()) {
      turned[place] = sum;
    } else {
      write(dweight, to + place, sum);
    }
  }
  if (!p.turns()) return;
  __syncthreads();
  for (int e = static_cast<int>(threadIdx.x); e < count * p.taps; e += threads_per_block) {
    write(dweight, to + e, turned[e]);
  }
}

void finish_weights(const Conv2d& p, int folded, int splits, const BackwardWeight& problem, RealResults dweight) {
  constexpr int wanted = 32, most_turned = 12 << 10;  // channels; numbers, of 48 KiB
  const int channels = int(p.group_channels()), taps = int(p.taps());
  const int at_once = std::max(1, std::min(wanted, most_turned / taps) / folded) * folded;
  const std::int64_t blocks = p.K * ((channels + at_once - 1) / at_once);
  const WeightSums sums{problem.sums, splits, problem.channels, channels, taps, folded, at_once, problem.count()};
  launch(finish_weights_kernel, Grid{static_cast<unsigned>(blocks)}, threads_per_block,
         sums.turns() ? std::size_t(at_once) * taps * sizeof(float) : 0, sums, dweight);
}

}  // namespace

void conv2d_backward_weight_packed(const Conv2d& given, Reals dy, Reals x, RealResults dweight) {
  const Conv2d p = with_rows_unfolded(given);
  const Axis &h = p.window.h, &w = p.window.w;
  with_transposable_number(p, x.dtype, [&](auto number) {
    using Number = decltype(number);
    const Packed gradients = pack_dy(Number::packed_as, p, dy.data),
                 images = pack_x(Number::packed_as, given, p, x.data);
    const PackedView view{int(h.input),    int(w.input),    int(images.padded),
                          forward_axis(h), forward_axis(w), unfolded_row(given, p)};
    BackwardWeight problem(p, view, gradients, images);
    const GemmPlan cut = plan<Number>(problem, p.groups, true);
    const auto multiply = [&](float* to) {
      problem.sums = to;
      packed_gemm<Number>(problem, AlikeBatches{int(p.groups)}, cut);
    };
    if (p.taps() == 1 && problem.channels == p.group_channels()) {  // the sums lie as dweight does
      in_float32(dweight, problem.count(), [&](float* to) { sum_splits(cut, problem.count(), to, multiply); });
      return;
    }
    const DeviceScratch<float> sums(cut.splits * problem.count());
    multiply(sums.data());
    finish_weights(p, int(given.window.w.kernel / w.kernel), cut.splits, problem, dweight);
  });
}

}  // namespace dip::cuda
