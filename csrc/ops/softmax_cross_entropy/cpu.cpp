#include "core/class_axis.h"
#include "ops/softmax_cross_entropy/kernels.h"
#include "ops/softmax_cross_entropy/softmax_cross_entropy.h"

namespace dip::cpu {

void softmax_cross_entropy(const SoftmaxCrossEntropy& p, const float* logits, float* losses, float* gradient) {
  parallel_positions(p.outer, p.classes, p.inner, [&](std::int64_t begin, std::int64_t end) {
    softmax_cross_entropy_kernels().positions(p, logits, losses, gradient, begin, end);
  });
}

double sum_of_losses(const float* losses, std::int64_t count) {
  double sum = 0.0;
  for (std::int64_t i = 0; i < count; ++i) sum += losses[i];
  return sum;
}

double mean_denominator(const SoftmaxCrossEntropy& p) {
  if (!p.labels) return static_cast<double>(p.outer * p.inner);
  double sum = 0.0;
  for (std::int64_t i = 0; i < p.outer * p.inner; ++i) {
    if (p.labels[i] != p.ignore_index) sum += p.weight ? p.weight[p.labels[i]] : 1.0;
  }
  return sum;
}

}  // namespace dip::cpu
