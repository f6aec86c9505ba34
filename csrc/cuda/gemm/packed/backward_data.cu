// The gradient of a convolution with respect to x as a product of packed numbers, one for each phase of a stride.
#include "cuda/gemm/packed/convolution.h"

#include "core/phases.h"
#include "cuda/gemm/packed/launch.h"
#include "cuda/gemm/packed/problem.h"
#include "cuda/phase.h"

namespace dip::cuda {
namespace {

ProductAxis backward_axis(const Axis& axis, const Phase& phase) {
  // Divisible, as the taps of this phase are.
  const int stride = int(axis.stride), dilation = int(axis.dilation);
  const int shift = (phase.first + int(axis.pad_start) - phase.first_tap * dilation) / stride;
  return {phase.count, 0, 1, phase.taps, shift, -(phase.tap_step * dilation) / stride, phase.first, stride};
}

// Weights are packed as for the forward pass, and lie across the depth. Those of TF32 are turned around while they are
// packed: to a row of every channel, of which a phase takes some taps.
template <class Number>
struct BackwardData : PlaneProduct<Number> {
  static constexpr bool a_across = !std::is_same_v<Number, Tf32>;
  int filters;         // of a group
  int taps, kernel_w;  // of the whole kernel
  Phase phase_h, phase_w;

  using PlaneProduct<Number>::PlaneProduct;

  static Packed pack(const Conv2d& p, const void* weight) {
    if (a_across) return pack_weights<Number>(p, weight, 1);
    return pack_images<Number>(1, p.groups, p.group_filters(), p.group_channels() * p.taps(), weight);
  }

  // Of the taps of a phase the one that comes there.
  __device__ int tap_at(int t) const {
    const int s = phase_w.first_tap + t % phase_w.taps * phase_w.tap_step;
    const int r = phase_h.first_tap + t / phase_w.taps * phase_h.tap_step;
    return r * kernel_w + s;
  }
  __device__ Place shift_at(int first) const {
    Place shift = PlaneProduct<Number>::shift_at(first);
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
  __device__ void store(int i, int out, float sum) const {
    this->result[out + i * this->out_plane] = Number::round(sum);
  }
};

}  // namespace

void conv2d_backward_data_packed(const Conv2d& p, Reals dy, Reals weight, RealResults dx) {
  const Axis &h = p.window.h, &w = p.window.w;
  with_number(p, dy.dtype, [&](auto number) {
    using Number = decltype(number);
    const Packed images = pack_dy<Number>(p, dy.data), weights = BackwardData<Number>::pack(p, weight.data);
    if (!meets_all(h) || !meets_all(w)) fill_zero(dx.data, p.x_count() * sizeof(typename Number::Stored));
    for (std::int64_t first_h : met_phases(h)) {
      for (std::int64_t first_w : met_phases(w)) {
        const Phase along_h = make_phase(h, first_h), along_w = make_phase(w, first_w);
        const PackedView view{int(h.output), int(w.output), int(images.padded), backward_axis(h, along_h),
                              backward_axis(w, along_w)};
        BackwardData<Number> problem(view, p.N, weights, images, int(p.group_channels()), h.input, w.input, p.C,
                                     dx.data);
        problem.filters = int(p.group_filters());
        problem.taps = int(p.taps());
        problem.kernel_w = int(w.kernel);
        problem.phase_h = along_h;
        problem.phase_w = along_w;
        packed_gemm<Number>(problem, int(p.groups), plan<Number>(problem, p, false));
      }
    }
  });
}

}  // namespace dip::cuda
