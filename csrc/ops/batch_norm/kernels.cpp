// Batch normalisation on the CPU, compiled once for each instruction set. Each kernel goes through a plane, which lies
// in a row, once or, for the moments, twice: the second time it comes from the cache.
#include "ops/batch_norm/kernels.h"

#include "cpu/simd_math.h"

namespace dip::cpu::DIP_ISA {
namespace {

Moments moments(const float* x, std::int64_t count) {
  LongSum all;
  for (std::int64_t i = 0; i < count; i += W) {
    const std::int64_t n = lanes_at(i, count);
    all.add(load_some(x + i, n));  // zeros beyond the end
  }
  const float shift = horizontal_sum(all.total()) / static_cast<float>(count);
  LongSum sum, squares;
  for (std::int64_t i = 0; i < count; i += W) {
    const std::int64_t n = lanes_at(i, count);
    const F d = first_only(load_some(x + i, n) - shift, n, 0.0f);
    sum.add(d);
    squares.add(d * d);
  }
  return {shift, horizontal_sum(sum.total()), horizontal_sum(squares.total())};
}

void normalize(const float* x, std::int64_t count, float mean, float scale, float bias,
               const ActivationSpec& activation, float* y) {
  const F scales = broadcast(scale), shifts = broadcast(bias);
  for (std::int64_t i = 0; i < count; i += W) {
    const std::int64_t n = lanes_at(i, count);
    const F v = fma(load_some(x + i, n) - mean, scales, shifts);
    store_some(y + i, activate(v, activation.kind, activation.alpha), n);
  }
}

void backward_sums(const float* dy, const float* x, std::int64_t count, float mean, float (&sums)[2]) {
  LongSum sum, products;
  for (std::int64_t i = 0; i < count; i += W) {
    const std::int64_t n = lanes_at(i, count);
    const F d = load_some(dy + i, n);
    sum.add(d);
    products.add(first_only(d * (load_some(x + i, n) - mean), n, 0.0f));
  }
  sums[0] = horizontal_sum(sum.total());
  sums[1] = horizontal_sum(products.total());
}

void backward(const float* dy, const float* x, std::int64_t count, float mean, float scale, float offset, float slope,
              float* dx) {
  for (std::int64_t i = 0; i < count; i += W) {
    const std::int64_t n = lanes_at(i, count);
    const F d = load_some(dy + i, n) - offset, centred = load_some(x + i, n) - mean;
    store_some(dx + i, scale * (d - centred * slope), n);
  }
}

}  // namespace

extern const BatchNormKernels batch_norm_kernels = {
    .moments = moments,
    .normalize = normalize,
    .backward_sums = backward_sums,
    .backward = backward,
};

}  // namespace dip::cpu::DIP_ISA
