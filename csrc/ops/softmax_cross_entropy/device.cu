// Softmax cross-entropy on the GPU: value and gradient in one kernel, which reads the logits once. Of few positions one
// block computes all, mean and checks of the labels included; of some more every block finds for itself what the mean
// divides by.
#include "cuda/class_axis.h"
#include "cuda/copy_kernels.h"
#include "cuda/sum.h"
#include "cuda/value_check.h"
#include "ops/softmax_cross_entropy/softmax_cross_entropy.h"

namespace dip::cuda {
namespace {

// The weighted, smoothed targets of a position.
struct Targets {
  std::int64_t label, inner;
  const float *distribution, *weight;  // null: labels; no weights
  float kept, spread;                  // of a target: what smoothing leaves of it, and what every class gets

  __device__ Targets(const SoftmaxCrossEntropy& p, std::int64_t label_, std::int64_t at)
      : label(label_),
        inner(p.inner),
        distribution(p.labels ? nullptr : p.distribution + at),
        weight(p.weight),
        kept(1.0f - p.smoothing),
        spread(p.smoothing / static_cast<float>(p.classes)) {}

  __device__ float of(std::int64_t c) const {
    const float hard = distribution ? distribution[c * inner] : c == label ? 1.0f : 0.0f;
    const float smooth = fmaf(hard, kept, spread);
    return weight ? smooth * weight[c] : smooth;
  }
};

__device__ float scale_of(double divisor) {
  return divisor == 0.0 ? 0.0f : static_cast<float>(1.0 / divisor);
}

// Cross-entropy turned into focal loss, and what the gradient is multiplied by.
struct FocalLoss {
  float value, factor;
};

__device__ DIP_RARE FocalLoss focal_loss(float value, float weighted, float gamma) {
  const double log_p = -static_cast<double>(value / weighted), rest = -expm1(log_p);  // rest = 1 − p
  if (!(rest > 0.0)) return {rest == 0.0 ? 0.0f : value, 0.0f};
  const double power = pow(rest, static_cast<double>(gamma)), probability = 1.0 - rest;
  const double slope = probability > 0.0 ? gamma * probability * power / rest * log_p : 0.0;
  return {weighted * static_cast<float>(-power * log_p), static_cast<float>(power - slope)};
}

// The losses of this thread's positions, or of its warp's, and their gradients times `scale`. Returns the sum of the
// losses that this thread has written.
template <class Plan>
__device__ double compute_losses(const SoftmaxCrossEntropy& p, float scale, Reals z, float* losses,
                                 RealResults gradient) {
  using Lanes = typename Plan::Lanes;
  const float gamma = p.running ? -logf(fmaxf(*p.running, least_running_mean)) : p.gamma;
  double written = 0.0;
  for (std::int64_t i = first_position<Lanes>(); i < p.outer * p.inner; i += position_step<Lanes>()) {
    const std::int64_t at = i / p.inner * p.classes * p.inner + i % p.inner;
    const std::int64_t label = p.labels ? p.labels[i] : 0;
    if (p.labels && label == p.ignore_index) {
      if (Lanes::first() == 0) {
        losses[i] = 0.0f;
        if (p.probabilities) p.probabilities[i] = 0.0f;
      }
      for (std::int64_t c = Lanes::first(); gradient.data && c < p.classes; c += Lanes::count) {
        write(gradient, at + c * p.inner, 0.0f);
      }
      continue;
    }
    const Targets targets(p, label, at);
    Classes<Plan> logits(z, at, p.classes, p.inner);
    const float maximum = logits.maximum();
    typename Plan::Sum powers, weights, products;
    logits.exponentiate(maximum, [&](std::int64_t c, float shifted, float power) {
      const float t = targets.of(c);
      powers.add(power);
      weights.add(t);
      // A zero target takes no part, even of a class with logit −∞.
      products.add(p.labels && t == 0.0f ? 0.0f : t * shifted);
    });
    const float sum = Lanes::sum(powers.total()), weighted = Lanes::sum(weights.total());
    const float weighted_z = Lanes::sum(products.total());
    float value = weighted * logf(sum) - weighted_z, factor = scale;
    if (p.probabilities && Lanes::first() == 0) {
      p.probabilities[i] = weighted > 0.0f ? weighted * expf(-value / weighted) : 0.0f;
    }
    if (gamma > 0.0f && weighted > 0.0f) {
      const FocalLoss focal = focal_loss(value, weighted, gamma);
      value = focal.value;
      factor *= focal.factor;
    }
    if (Lanes::first() == 0) {
      losses[i] = value;
      written += value;
    }
    if (!gradient.data) continue;
    const float inverse = 1.0f / sum;
    logits.each([&](std::int64_t c, float z_or_power) {
      const float probability = Classes<Plan>::exponential(z_or_power, maximum) * inverse;
      write(gradient, at + c * p.inner, (weighted * probability - targets.of(c)) * factor);
    });
  }
  return written;
}

// `divisor` of the mean lies on the GPU, because it depends on the labels; null for 1.
template <class Plan>
__global__ void loss_kernel(SoftmaxCrossEntropy p, const double* divisor, Reals z, float* losses,
                            RealResults gradient) {
  compute_losses<Plan>(p, divisor ? scale_of(*divisor) : 1.0f, z, losses, gradient);
}

// −w·x of the label's class.
__global__ void logarithm_kernel(SoftmaxCrossEntropy p, const double* divisor, Reals x, float* losses,
                                 RealResults gradient) {
  const float scale = divisor ? scale_of(*divisor) : 1.0f;
  for (std::int64_t i = first_element(); i < p.outer * p.inner; i += element_step()) {
    const std::int64_t at = i / p.inner * p.classes * p.inner + i % p.inner, label = p.labels[i];
    // A label that is none has an error on its way to the host.
    const bool counts = label != p.ignore_index && label >= 0 && label < p.classes;
    const float weight = counts && p.weight ? p.weight[label] : 1.0f;
    losses[i] = counts ? -weight * read(x, at + label * p.inner) : 0.0f;
    for (std::int64_t c = 0; gradient.data && c < p.classes; ++c) {
      write(gradient, at + c * p.inner, counts && c == label ? -weight * scale : 0.0f);
    }
  }
}

// What the mean divides by: Σ over positions.
struct LabelWeight {
  SoftmaxCrossEntropy p;

  __device__ std::int64_t read(std::int64_t i) const { return p.labels ? p.labels[i] : 0; }
  __device__ double value(std::int64_t, std::int64_t label) const {
    if (!p.labels) return 1.0;
    if (label == p.ignore_index || label < 0 || label >= p.classes) return 0.0;
    return p.weight ? p.weight[label] : 1.0;
  }
};

struct Loss {
  const float* losses;
  __device__ float read(std::int64_t i) const { return losses[i]; }
  __device__ double value(std::int64_t, float loss) const { return loss; }
};

// What a block of so many threads divides by for the mean, 1 where there is none, and the checks of the labels.
template <int threads>
__device__ double divisor_of_block(const SoftmaxCrossEntropy& p, Fault* fault) {
  const LabelWeight weights{p};
  double divisor = 0.0;
  std::int64_t wrong = -1;
  stream_elements(
      std::int64_t{threadIdx.x}, p.outer * p.inner, std::int64_t{threads},
      [&](std::int64_t i) { return weights.read(i); },
      [&](std::int64_t i, std::int64_t label) {
        divisor += weights.value(i, label);
        const bool is_wrong = p.labels && label != p.ignore_index && (label < 0 || label >= p.classes);
        if (is_wrong && wrong < 0) wrong = i;
      });
  if (fault) report_first<threads>(wrong, [&](std::int64_t i) { return static_cast<double>(p.labels[i]); }, fault);
  return p.reduction == Reduction::mean ? block_sum<threads>(divisor) : 1.0;
}

template <int threads>
__device__ void store_value(const SoftmaxCrossEntropy& p, double sum, double divisor, double* value) {
  sum = block_sum<threads>(sum);
  if (threadIdx.x == 0 && p.reduction != Reduction::none) *value = divisor == 0.0 ? NAN : sum / divisor;
}

// For few positions of few classes: a thread a position or, of more classes, a warp. One block alone stores the value
// too.
constexpr int some_threads = 128, small_block = 256, large_block = 1024;
using FewClasses = ClassPlan<ThreadLanes, 16>;
using SomeClasses = ClassPlan<WarpLanes, 1>;

template <class Plan, int threads>
__global__ void __launch_bounds__(threads, 1) whole_loss_kernel(SoftmaxCrossEntropy p, Reals z, float* losses,
                                                                RealResults gradient, double* value, Fault* fault) {
  const double divisor = divisor_of_block<threads>(p, fault);
  const double sum = compute_losses<Plan>(p, scale_of(divisor), z, losses, gradient);
  if (gridDim.x == 1) store_value<threads>(p, sum, divisor, value);
}

__global__ void __launch_bounds__(large_block, 1)
    value_kernel(SoftmaxCrossEntropy p, const float* losses, double* value) {
  const double divisor = divisor_of_block<large_block>(p, nullptr);
  double sum = 0.0;
  stream_elements(
      std::int64_t{threadIdx.x}, p.outer * p.inner, std::int64_t{large_block},
      [&](std::int64_t i) { return losses[i]; }, [&](std::int64_t, float loss) { sum += loss; });
  store_value<large_block>(p, sum, divisor, value);
}

void compute_loss(const SoftmaxCrossEntropy& p, Reals logits, float* losses, RealResults gradient, double* value,
                  const Describe& describe) {
  const std::int64_t positions = p.outer * p.inner;
  if (positions > 0 && p.inner == 1 && !p.takes_logarithms) {
    const auto run_whole = [&](auto kernel, std::int64_t blocks, int threads) {
      launch(kernel, static_cast<unsigned>(blocks), static_cast<unsigned>(threads), p, logits, losses, gradient, value,
             p.labels ? watch_for<IndexError>(describe) : nullptr);
    };
    if (p.classes <= 16 && positions <= small_block) {
      return run_whole(whole_loss_kernel<FewClasses, small_block>, 1, small_block);
    }
    if (p.classes <= 16 && positions <= 4 * large_block) {
      run_whole(whole_loss_kernel<FewClasses, some_threads>, (positions + some_threads - 1) / some_threads,
                some_threads);
      if (p.reduction == Reduction::none) return;
      return launch(value_kernel, 1u, static_cast<unsigned>(large_block), p, static_cast<const float*>(losses), value);
    }
    if (p.classes <= 32 && positions <= large_block / 4) {
      return run_whole(whole_loss_kernel<SomeClasses, large_block>, 1, large_block);
    }
  }
  if (p.labels) check_labels(p.labels, positions, p.classes, p.ignore_index, describe);
  DeviceScratch<double> divisor(1);
  const bool mean = p.reduction == Reduction::mean;
  if (mean) sum_elements(positions, LabelWeight{p}, 1.0, nullptr, divisor.data());
  const double* mean_divisor = mean ? divisor.data() : nullptr;
  if (p.takes_logarithms) {
    launch_elements(logarithm_kernel, positions, p, mean_divisor, logits, losses, gradient);
  } else {
    plan_classes(p.classes, p.inner, [&](auto plan) {
      launch_positions(plan, loss_kernel<decltype(plan)>, positions, p, mean_divisor, logits, losses, gradient);
    });
  }
  if (p.reduction == Reduction::none) return;
  sum_elements(positions, Loss{losses}, 1.0, mean_divisor, value);
}

// p̂ is read by the kernels before, and so changes only after them. The mean of nothing is NaN.
__global__ void update_running_kernel(const double* mean, double momentum, float* running) {
  if (threadIdx.x == 0 && *mean == *mean) {
    *running = static_cast<float>(momentum * *running + (1.0 - momentum) * *mean);
  }
}

}  // namespace

void softmax_cross_entropy(SoftmaxCrossEntropy p, Reals logits, Reals distribution, Reals weight, RealResults losses,
                           RealResults gradient, double* value, const Describe& describe) {
  const Widened wide_distribution(distribution, p.outer * p.classes * p.inner), wide_weight(weight, p.classes);
  p.distribution = wide_distribution;
  p.weight = wide_weight;
  in_float32_or_scratch(losses, p.outer * p.inner,
                        [&](float* kept) { compute_loss(p, logits, kept, gradient, value, describe); });
}

void automated_focal_loss(SoftmaxCrossEntropy p, double momentum, bool updates, Reals logits, Reals weight,
                          float* running, RealResults losses, RealResults gradient, double* value,
                          const Describe& describe) {
  const std::int64_t positions = p.outer * p.inner;
  const Widened wide_weight(weight, p.classes);
  const DeviceScratch<float> probabilities(updates ? positions : 1);
  p.weight = wide_weight;
  p.running = running;
  p.probabilities = updates ? probabilities.data() : nullptr;
  in_float32_or_scratch(losses, positions,
                        [&](float* kept) { compute_loss(p, logits, kept, gradient, value, describe); });
  if (!updates || positions == 0) return;
  const DeviceScratch<double> counted(1), mean(1);
  sum_elements(positions, LabelWeight{p}, 1.0, nullptr, counted.data());
  sum_elements(positions, Loss{p.probabilities}, 1.0, counted.data(), mean.data());
  launch(update_running_kernel, 1u, 32u, static_cast<const double*>(mean.data()), momentum, running);
}

}  // namespace dip::cuda
