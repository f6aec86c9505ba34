// The other losses on the GPU: one element or position a thread, then the sum in one block.
#include "core/sum.h"
#include "cuda/copy_kernels.h"
#include "cuda/half.h"
#include "cuda/sum.h"
#include "cuda/value_check.h"
#include "ops/losses/losses.h"

namespace dip::cuda {
namespace {

struct ValueAndSlope {
  float value, slope;
};

// Called, so that the unrolled code for each kind of loss does not hold the logarithms too.
__device__ DIP_RARE ValueAndSlope squared_logarithm(float x, float target) {
  const float difference = log1pf(x) - log1pf(target);
  return {difference * difference, 2.0f * difference / (x + 1.0f)};
}

struct Elementwise {
  ElementwiseLoss p;
  Reals x, target;
  RealResults values, gradient;

  struct Element {
    float x, target;
  };
  __device__ Element read(std::int64_t i) const { return {dip::cuda::read(x, i), dip::cuda::read(target, i)}; }
  __device__ double value(std::int64_t i, Element e) const {
    const float d = e.x - e.target;
    const float sign = d > 0.0f ? 1.0f : d < 0.0f ? -1.0f : d;  // d itself is 0 or NaN
    float value = d * d, slope = 2.0f * d;
    if (p.kind == LossKind::absolute) {
      value = fabsf(d);
      slope = sign;
    } else if (p.kind == LossKind::squared_logarithm) {
      const ValueAndSlope both = squared_logarithm(e.x, e.target);
      value = both.value;
      slope = both.slope;
    } else if (p.kind == LossKind::smooth_l1) {
      const bool near = fabsf(d) < p.beta;
      value = near ? 0.5f * d * d / p.beta : fabsf(d) - 0.5f * p.beta;
      slope = near ? d / p.beta : sign;
    } else if (p.kind == LossKind::huber) {
      const bool near = fabsf(d) < p.beta;
      value = near ? 0.5f * d * d : p.beta * (fabsf(d) - 0.5f * p.beta);
      slope = near ? d : p.beta * sign;
    }
    if (values.data) write(values, i, value);
    if (gradient.data) write(gradient, i, slope * p.scale);
    return value;
  }
};

struct Improbable {
  std::int64_t C, inner;
  const float* probabilities;
  const std::int64_t* target;

  __device__ float at(std::int64_t i) const { return probabilities[(i / inner * C + target[i]) * inner + i % inner]; }
  __device__ bool operator()(std::int64_t i) const {
    return target[i] >= 0 && target[i] < C && !(at(i) >= 0.0f && at(i) <= 1.0f);
  }
  __device__ double value(std::int64_t i) const { return at(i); }
};

__global__ void hinge_kernel(HingeLoss p, const float* scores, const std::int64_t* target, const float* weights,
                             float* values, float* gradient) {
  for (std::int64_t n = first_element(); n < p.N; n += element_step()) {
    const float* row = scores + n * p.C;
    const bool known = target[n] >= 0 && target[n] < p.C;  // else an error is on its way to the host
    const float own = known ? row[target[n]] : 0.0f, weight = known && weights ? weights[target[n]] : 1.0f;
    double loss = 0.0, slopes = 0.0;
    for (std::int64_t j = 0; j < p.C; ++j) {
      const float excess = row[j] - own + p.margin;
      const bool counts = j != target[n] && !(excess <= 0.0f);  // a NaN score counts, and makes the loss NaN
      const float slope = !counts ? 0.0f : p.squares ? 2.0f * excess : 1.0f;
      loss += !counts ? 0.0 : p.squares ? static_cast<double>(excess) * excess : excess;
      slopes += slope;
      if (gradient) gradient[n * p.C + j] = p.scale * weight * slope;
    }
    values[n] = static_cast<float>(weight * loss);
    if (gradient && known) gradient[n * p.C + target[n]] = -p.scale * weight * static_cast<float>(slopes);
  }
}

__global__ void probability_kernel(ProbabilityLoss p, const float* probabilities, const std::int64_t* target,
                                   float* values, float* gradient) {
  for (std::int64_t i = first_element(); i < p.outer * p.inner; i += element_step()) {
    const std::int64_t first = i / p.inner * p.C * p.inner + i % p.inner, at = first + target[i] * p.inner;
    const bool known = target[i] >= 0 && target[i] < p.C;  // else an error is on its way to the host
    values[i] = known ? -logf(probabilities[at]) : 0.0f;
    for (std::int64_t c = 0; gradient && c < p.C; ++c) {
      gradient[first + c * p.inner] = c == target[i] ? -p.scale / probabilities[at] : 0.0f;
    }
  }
}

}  // namespace

void elementwise_loss(const ElementwiseLoss& p, std::int64_t count, Reals x, Reals target, RealResults values,
                      RealResults gradient, double divisor, double* total) {
  sum_elements(count, Elementwise{p, x, target, values, gradient}, divisor, nullptr, total);
}

void hinge_loss(const HingeLoss& p, Reals scores, const std::int64_t* target, Reals weight, RealResults values,
                RealResults gradient, double divisor, double* total) {
  const Widened wide_scores(scores, p.N * p.C), wide_weight(weight, p.C);
  in_float32(gradient, p.N * p.C, [&](float* slopes) {
    in_float32_or_scratch(values, p.N, [&](float* losses) {
      launch_elements(hinge_kernel, p.N, p, wide_scores.data(), target, wide_weight.data(), losses, slopes);
      sum(losses, p.N, divisor, total);
    });
  });
}

void probability_loss(const ProbabilityLoss& p, Reals probabilities, const std::int64_t* target, RealResults values,
                      RealResults gradient, double divisor, double* total, const Describe& describe) {
  const std::int64_t positions = p.positions(), count = p.outer * p.C * p.inner;
  const Widened wide(probabilities, count);
  check_none<ValueError>(Improbable{p.C, p.inner, wide, target}, positions, describe);
  in_float32(gradient, count, [&](float* slopes) {
    in_float32_or_scratch(values, positions, [&](float* losses) {
      launch_elements(probability_kernel, positions, p, wide.data(), target, losses, slopes);
      sum(losses, positions, divisor, total);
    });
  });
}

}  // namespace dip::cuda
