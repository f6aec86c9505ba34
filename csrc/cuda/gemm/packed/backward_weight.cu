// The gradient of a convolution with respect to weight as a product of packed numbers.
#include "cuda/gemm/packed/convolution.h"

#include "cuda/gemm/packed/launch.h"
#include "cuda/gemm/packed/problem.h"

namespace dip::cuda {
namespace {

// Filters × (taps and channels), summed over images and positions.
struct BackwardWeight : PackedOperands {
  static constexpr bool a_across = true, b_across = true, has_few_tiles = false;
  int kernel_taps, group_channels, folded, elements;
  float* dweight;  // of each split, one after the other
  bool rows_side_by_side = false;

  BackwardWeight(const Conv2d& p, std::int64_t folded_, const PackedView& view, const Packed& gradients,
                 const Packed& images)
      : PackedOperands(view, p.N, gradients, images, int(p.group_filters()), int(p.taps()) * view.channels,
                       int(p.N * p.window.h.output * p.window.w.output)),
        kernel_taps(int(p.taps())),
        group_channels(int(p.group_channels())),
        folded(int(folded_)),
        elements(int(p.K) * group_channels * kernel_taps) {}

  __device__ void begin(const AlikeBatches&, int group, int split) {
    PackedOperands::begin(group);
    dweight += split * elements + group * rows * group_channels * kernel_taps;
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
  __device__ int out_at(int j) const {
    const int c = j % channels, tap = j / channels;
    return c < group_channels ? (c / folded * kernel_taps + tap) * folded + c % folded : -1;
  }
  __device__ void store(int i, int out, float sum) const {
    if (out >= 0) dweight[i * group_channels * kernel_taps + out] = sum;
  }
};

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
    BackwardWeight problem(p, given.window.w.kernel / w.kernel, view, gradients, images);
    const GemmPlan cut = plan<Number>(problem, p.groups, true);
    in_float32(dweight, problem.elements, [&](float* result) {
      sum_splits(cut, problem.elements, result, [&](float* to) {
        problem.dweight = to;
        packed_gemm<Number>(problem, AlikeBatches{int(p.groups)}, cut);
      });
    });
  });
}

}  // namespace dip::cuda
