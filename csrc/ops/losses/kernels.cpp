// Element-wise losses on the CPU, compiled once for each instruction set: 8 bytes read and, with a gradient, 4 written
// an element. Value and gradient come from one pass.
#include "ops/losses/kernels.h"

#include "cpu/simd_math.h"

namespace dip::cpu::DIP_ISA {
namespace {

struct ValueAndSlope {
  F value, slope;
};

inline F log1p_lanes(F x) {
  F y;
  for (int lane = 0; lane < W; ++lane) y[lane] = __builtin_log1pf(x[lane]);
  return y;
}

template <LossKind Kind>
inline ValueAndSlope loss(F x, F target, float beta) {
  const F d = x - target;
  if (Kind == LossKind::squared) return {d * d, 2.0f * d};
  const F zero = {};
  const F sign = select(d > 0.0f, broadcast(1.0f), select(d < 0.0f, broadcast(-1.0f), d));  // d itself is 0 or NaN
  if (Kind == LossKind::absolute) return {abs(d), sign};
  if (Kind == LossKind::squared_logarithm) {
    const F difference = log1p_lanes(x) - log1p_lanes(target);
    return {difference * difference, 2.0f * difference / (x + 1.0f)};
  }
  const F b = broadcast(beta);
  const I near = abs(d) < b;
  if (Kind == LossKind::huber) {
    return {select(near, 0.5f * d * d, b * (abs(d) - 0.5f * b)), select(near, d, b * sign)};
  }
  // β = 0 leaves no quadratic part; the division is then not taken, but must not divide by zero either.
  const F quadratic = beta > 0.0f ? 0.5f * d * d / b : zero;
  return {select(near, quadratic, abs(d) - 0.5f * b), select(near, beta > 0.0f ? d / b : zero, sign)};
}

template <LossKind Kind>
double elementwise_of(const ElementwiseLoss& p, std::int64_t count, const float* x, const float* target, float* values,
                      float* gradient) {
  double total = 0.0;
  // Float sums of 64 vectors at most, then on in float64: the rounding error stays that of a short sum.
  for (std::int64_t begin = 0; begin < count; begin += 64 * W) {
    const std::int64_t end = count - begin < 64 * W ? count : begin + 64 * W;
    F sum = {};
    for (std::int64_t i = begin; i < end; i += W) {
      const std::int64_t n = lanes_at(i, end);
      const ValueAndSlope result = loss<Kind>(load_some(x + i, n), load_some(target + i, n), p.beta);
      const F value = first_only(result.value, n, 0.0f);
      sum += value;
      if (values) store_some(values + i, value, n);
      if (gradient) store_some(gradient + i, result.slope * p.scale, n);
    }
    total += horizontal_sum(sum);
  }
  return total;
}

double elementwise(const ElementwiseLoss& p, std::int64_t count, const float* x, const float* target, float* values,
                   float* gradient) {
  switch (p.kind) {
    case LossKind::squared: return elementwise_of<LossKind::squared>(p, count, x, target, values, gradient);
    case LossKind::absolute: return elementwise_of<LossKind::absolute>(p, count, x, target, values, gradient);
    case LossKind::squared_logarithm:
      return elementwise_of<LossKind::squared_logarithm>(p, count, x, target, values, gradient);
    case LossKind::huber: return elementwise_of<LossKind::huber>(p, count, x, target, values, gradient);
    default: return elementwise_of<LossKind::smooth_l1>(p, count, x, target, values, gradient);
  }
}

}  // namespace

extern const LossKernels loss_kernels = {
    .elementwise = elementwise,
};

}  // namespace dip::cpu::DIP_ISA
