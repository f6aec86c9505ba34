// y = activation(x ⋆ weight + bias) as a product of packed numbers.
#include "cuda/gemm/packed/convolution.h"

#include "cuda/activation.h"
#include "cuda/gemm/packed/launch.h"
#include "cuda/gemm/packed/problem.h"

namespace dip::cuda {
namespace {

template <class Number>
struct Forward : PlaneProduct<Number> {
  static constexpr bool a_across = false;
  const typename Number::Stored* bias = nullptr;
  ActivationSpec activation;

  using PlaneProduct<Number>::PlaneProduct;

  __device__ void begin(const AlikeBatches& groups, int group, int split) {
    PlaneProduct<Number>::begin(groups, group, split);
    if (bias) bias += group * this->rows;
  }
  __device__ int a_at(int filter) const { return filter * this->depth; }
  template <class T>
  TensorMap map_a() const {
    const MapSizes sizes = {this->channels, this->depth / this->channels, this->rows, T::parts * this->groups};
    return map_lines(this->a, sizes, 2, T::A::lines);
  }
  template <class T>
  __device__ void copy_a(Shared<Bits> to, const TensorMap& map, Shared<PhaseBarrier> barrier, int part, int d,
                         int i) const {
    copy_lines_async(to, map, barrier, d % this->channels, d / this->channels, i, part * this->groups + this->group);
  }
  __device__ void store(int i, int out, float sum) const {
    const float biased = bias ? sum + Number::widen(bias[i]) : sum;
    this->result[out + i * this->out_plane] = Number::round(activate_one_of_many(biased, activation));
  }
};

}  // namespace

bool uses_packed(const Conv2d& p, DType dtype) {
  if (!has_tf32()) return false;
  const Conv2d whole = with_whole_octets(with_rows_unfolded(p));
  if (!fits_32_bits(p) || !fits_32_bits(with_whole_octets(p)) || !fits_32_bits(whole)) return false;
  if (dtype != DType::float32) return true;
  // One of TF32 takes as long as two of bfloat16.
  const int products = p.precision == Precision::medium ? 2 : p.precision == Precision::high ? 3 : 6;
  const std::int64_t numbers = whole.x_count() + whole.y_count() + whole.weight_count();
  return packing_pays({p.y_count(), p.group_channels() * p.taps(), numbers, products}, multiprocessors());
}

void conv2d_forward_packed(const Conv2d& given, Reals x, Reals weight, Reals bias, RealResults y) {
  const Conv2d p = with_rows_unfolded(given);
  const Axis &h = p.window.h, &w = p.window.w;
  with_number(p, x.dtype, [&](auto number) {
    using Number = decltype(number);
    const Packed images = pack_x(Number::packed_as, given, p, x.data);
    const Packed weights = pack_weights(Number::packed_as, p, weight.data, given.window.w.kernel / w.kernel);
    const PackedView view{int(h.input),    int(w.input),    int(images.padded),
                          forward_axis(h), forward_axis(w), unfolded_row(given, p)};
    Forward<Number> problem(view, p.N, weights, images, int(p.group_filters()), h.output, w.output, p.K, y.data);
    problem.bias = static_cast<const typename Number::Stored*>(bias.data);
    problem.activation = p.activation;
    packed_gemm<Number>(problem, AlikeBatches{int(p.groups)}, plan<Number>(problem, p.groups, false));
  });
}

}  // namespace dip::cuda
