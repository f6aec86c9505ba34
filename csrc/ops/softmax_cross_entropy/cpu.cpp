#include <algorithm>
#include <cmath>

#include "core/sum.h"
#include "cpu/class_axis.h"
#include "cpu/scratch.h"
#include "ops/softmax_cross_entropy/kernels.h"
#include "ops/softmax_cross_entropy/softmax_cross_entropy.h"

namespace dip::cpu {
namespace {

// What a mean divides by.
double weight_of_labels(const SoftmaxCrossEntropy& p) {
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

// Of what was checked and is complete but for what the results are.
void compute_loss(const SoftmaxCrossEntropy& p, const float* logits, float* kept, float* gradient, double* value,
                  const Describe& describe) {
  static thread_local Scratch scratch;
  float* losses = kept ? kept : scratch.floats(p.outer * p.inner);
  if (p.labels) check_labels(p.labels, p.outer * p.inner, p.classes, p.ignore_index, describe);
  const double divisor = p.reduction == Reduction::mean ? weight_of_labels(p) : 1.0;
  const float scale = divisor == 0.0 ? 0.0f : static_cast<float>(1.0 / divisor);
  parallel_positions(p.outer, p.classes, p.inner, [&](std::int64_t begin, std::int64_t end) {
    softmax_cross_entropy_kernels().positions(p, scale, logits, losses, gradient, begin, end);
  });
  if (p.reduction != Reduction::none) sum(losses, p.outer * p.inner, divisor, value);
}

}  // namespace

void softmax_cross_entropy(SoftmaxCrossEntropy p, Reals logits, Reals distribution, Reals weight, RealResults kept,
                           RealResults gradient, double* value, const Describe& describe) {
  p.distribution = distribution;
  p.weight = weight;
  compute_loss(p, logits, kept, gradient, value, describe);
}

void automated_focal_loss(SoftmaxCrossEntropy p, double momentum, bool updates, Reals logits, Reals weight,
                          float* running, RealResults kept, RealResults gradient, double* value,
                          const Describe& describe) {
  static thread_local Scratch scratch;
  const std::int64_t positions = p.outer * p.inner;
  p.weight = weight;
  p.gamma = -std::log(std::max(*running, least_running_mean));
  p.probabilities = updates ? scratch.floats(positions) : nullptr;
  compute_loss(p, logits, kept, gradient, value, describe);
  const double counted = weight_of_labels(p);
  if (!updates || counted == 0.0) return;
  double mean = 0.0;
  sum(p.probabilities, positions, counted, &mean);
  *running = static_cast<float>(momentum * *running + (1.0 - momentum) * mean);
}

}  // namespace dip::cpu
