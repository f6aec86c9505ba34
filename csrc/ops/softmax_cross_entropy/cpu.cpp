#include "core/sum.h"
#include "cpu/class_axis.h"
#include "cpu/scratch.h"
#include "ops/softmax_cross_entropy/kernels.h"
#include "ops/softmax_cross_entropy/softmax_cross_entropy.h"

namespace dip::cpu {
namespace {

double denominator(const SoftmaxCrossEntropy& p) {
  if (p.reduction != Reduction::mean) return 1.0;
  if (!p.labels) return static_cast<double>(p.outer * p.inner);
  if (!p.weight) {
    std::int64_t kept = 0;
    for (std::int64_t i = 0; i < p.outer * p.inner; ++i) kept += p.labels[i] != p.ignore_index;
    return static_cast<double>(kept);
  }
  double sum = 0.0;
  for (std::int64_t i = 0; i < p.outer * p.inner; ++i) {
    const std::int64_t label = p.labels[i];
    if (p.counts(label)) sum += p.weight[label];
  }
  return sum;
}

}  // namespace

void softmax_cross_entropy(SoftmaxCrossEntropy p, Reals logits, Reals distribution, Reals weight, RealResults kept,
                           RealResults gradient, double* value, const Describe& describe) {
  p.distribution = distribution;
  p.weight = weight;
  static thread_local Scratch scratch;
  float* losses = kept ? kept : scratch.floats(p.outer * p.inner);
  if (p.labels) check_labels(p.labels, p.outer * p.inner, p.classes, p.ignore_index, describe);
  const double divisor = denominator(p);
  const float scale = divisor == 0.0 ? 0.0f : static_cast<float>(1.0 / divisor);
  parallel_positions(p.outer, p.classes, p.inner, [&](std::int64_t begin, std::int64_t end) {
    softmax_cross_entropy_kernels().positions(p, scale, logits, losses, gradient, begin, end);
  });
  if (p.reduction != Reduction::none) sum(losses, p.outer * p.inner, divisor, value);
}

}  // namespace dip::cpu
