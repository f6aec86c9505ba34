// The gradient of a convolution with respect to x as a product of packed numbers. With a stride the phases are so many
// batches of one launch.
#include "cuda/gemm/packed/convolution.h"

#include "cuda/gemm/packed/launch.h"
#include "cuda/gemm/packed/problem.h"
#include "cuda/phase.h"

namespace dip::cuda {
namespace {

// All phases have as many places as the longest; those beyond the end of a shorter one have no result.
ProductAxis backward_axis(const Axis& axis, const Phases& phases) {
  const Phase& phase = phases.all[0];
  ProductAxis result{
      phases.most_positions(), 0, 1, phases.most_taps(), phase.first_window, phase.window_step, phase.first,
      int(axis.stride)};
  int highest = result.lowest = phase.lowest_window();
  for (int i = 0; i < phases.count; ++i) {
    const Phase& other = phases.all[i];
    result.lowest = std::min(result.lowest, other.lowest_window());
    highest = std::max(highest, other.lowest_window() + (other.taps - 1) * std::abs(other.window_step));
  }
  result.reach = highest - result.lowest;
  return result;
}

// Weights are packed as for the forward pass, and lie across the depth. Those of TF32 are turned around while they are
// packed: to a row of every channel, of which a phase takes some taps.
template <class Number, class PhaseKind>
struct BackwardData : PlaneProduct<Number> {
  static constexpr bool a_across = !std::is_same_v<Number, Tf32>;
  static constexpr bool has_few_tiles = !PhaseKind::is_only;  // kernels take long to compile
  int filters;                                                // of a group
  int taps, kernel_w;                                         // of the whole kernel
  PhaseKind phase;

  template <class... Arguments>
  explicit BackwardData(const PhaseKind& phase_, const Arguments&... arguments)
      : PlaneProduct<Number>(arguments...), phase(phase_) {}

  __device__ void begin(const typename PhaseKind::Batches& batches, int batch, int split) {
    PlaneProduct<Number>::begin({}, PhaseKind::group_of(batches, batch), split);
    if (!PhaseKind::is_only) this->depth = phase.h().taps * phase.w().taps * this->channels;
  }
  __device__ static void turn(ProductAxis& axis, const Phase& to) {
    axis.taps = to.taps;
    axis.shift = to.first_window;
    axis.shift_step = to.window_step;
    axis.out_first = to.first;
  }
  // As this block's phase has it.
  __device__ PlaneProduct<Number> turned() const {
    PlaneProduct<Number> result = *this;
    if (PhaseKind::is_only) return result;
    turn(result.h, phase.h());
    turn(result.w, phase.w());
    return result;
  }
  __device__ int out_at(int j) const {
    if (PhaseKind::is_only) return PlaneProduct<Number>::out_at(j);
    const int q_w = j % this->w.places, q_h = j / this->w.places % this->h.places;
    return q_h < phase.h().count && q_w < phase.w().count ? turned().out_at(j) : -1;
  }

  // Of the taps of a phase the one that comes there.
  __device__ int tap_at(int t) const {
    const Phase h = phase.h(), w = phase.w();
    const int s = w.first_tap + t % w.taps * w.tap_step, r = h.first_tap + t / w.taps * h.tap_step;
    return r * kernel_w + s;
  }
  __device__ Place shift_at(int first) const {
    Place shift = turned().shift_at(first);
    if (!a_across) shift.a = tap_at(first / this->channels) * this->a_padded + first % this->channels;
    return shift;
  }
  // A filter and tap, in the order of shift_at, or all of a channel.
  __device__ int a_at(int line) const {
    if (!a_across) return line * taps * this->a_padded;
    const int k = line % this->channels, t = line / this->channels;
    return k < filters ? (k * taps + tap_at(t)) * this->a_padded : -1;
  }
  template <class T>
  TensorMap map_a() const {
    const MapSizes sizes = {this->a_padded, taps, a_across ? filters : this->rows, T::parts * this->groups};
    return map_lines(this->a, sizes, 2, T::A::lines);
  }
  template <class T>
  __device__ void copy_a(Shared<Bits> to, const TensorMap& map, Shared<PhaseBarrier> barrier, int part, int d,
                         int i) const {
    const int k = d % this->channels, tap = tap_at(d / this->channels), group = part * this->groups + this->group;
    if constexpr (a_across) {
      for (int column = 0; column < T::rows / 64; ++column) {
        copy_lines_async(to + column * T::A::lines * 64, map, barrier, i + column * 64, tap, k, group);
      }
    } else {
      copy_lines_async(to, map, barrier, k, tap, i, group);
    }
  }
  template <class T>
  __device__ void copy_b(Shared<Bits> to, const TensorMap& map, Shared<PhaseBarrier> barrier, int part, int d,
                         int j) const {
    turned().template copy_b<T>(to, map, barrier, part, d, j);
  }
  __device__ void store(int i, int out, float sum) const {
    if (PhaseKind::is_only || out >= 0) this->result[out + i * this->out_plane] = Number::round(sum);
  }
};

template <class Number>
Packed pack_weights_across(const Conv2d& p, const void* weight) {
  if (!std::is_same_v<Number, Tf32>) return pack_weights(Number::packed_as, p, weight, 1);
  return pack_images(Number::packed_as, 1, p.groups, p.group_filters(), p.group_channels() * p.taps(), weight);
}

}  // namespace

void conv2d_backward_data_packed(const Conv2d& p, Reals dy, Reals weight, RealResults dx) {
  const Axis &h = p.window.h, &w = p.window.w;
  with_number(p, dy.dtype, [&](auto number) {
    using Number = decltype(number);
    const Packed images = pack_dy(Number::packed_as, p, dy.data), weights = pack_weights_across<Number>(p, weight.data);
    if (!meets_all(h) || !meets_all(w)) fill_zero(dx.data, p.x_count() * sizeof(typename Number::Stored));
    for (const Phases& along_h : sets_of_phases(h)) {
      for (const Phases& along_w : sets_of_phases(w)) {
        const PackedView view{int(h.output), int(w.output), int(images.padded), backward_axis(h, along_h),
                              backward_axis(w, along_w)};
        with_phases({int(p.groups), along_h, along_w}, [&](auto phase, const auto& batches) {
          BackwardData<Number, decltype(phase)> problem(phase, view, p.N, weights, images, int(p.group_channels()),
                                                        h.input, w.input, p.C, dx.data);
          problem.filters = int(p.group_filters());
          problem.taps = int(p.taps());
          problem.kernel_w = int(w.kernel);
          packed_gemm<Number>(problem, batches, plan<Number>(problem, batches.count(), false));
        });
      }
    }
  });
}

}  // namespace dip::cuda
