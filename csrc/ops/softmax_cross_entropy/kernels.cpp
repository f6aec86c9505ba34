// Softmax cross-entropy on the CPU, compiled once for each instruction set.
//
// Reads the logits once from memory and writes the gradient once (8 bytes a logit); the passes in between find the row
// in the first-level cache. The exponentials are kept in the gradient's place until their sum is known.
#include "ops/softmax_cross_entropy/kernels.h"

#include "cpu/simd_math.h"

namespace dip::cpu::DIP_ISA {
namespace {

// The focal loss −(1 − p)^γ·log p, and the factor s in its gradient s·(softmax − onehot).
struct Focal {
  float loss, factor;
};

inline Focal focal(float cross_entropy, float gamma) {
  const double log_p = -static_cast<double>(cross_entropy);
  const double rest = -__builtin_expm1(log_p);  // 1 − p without cancellation
  if (!(rest > 0.0)) return {rest == 0.0 ? 0.0f : cross_entropy, 0.0f};
  const double power = __builtin_pow(rest, gamma);
  const double p = 1.0 - rest;
  // p·log p → 0 as p → 0, where the product itself would be 0·∞.
  const double slope = p > 0.0 ? gamma * p * power / rest * log_p : 0.0;
  return {static_cast<float>(-power * log_p), static_cast<float>(power - slope)};
}

// One position whose classes are contiguous.
void row(const SoftmaxCrossEntropy& p, float scale, const float* z, std::int64_t position, float* loss,
         float* gradient) {
  const std::int64_t label = p.labels ? p.labels[position] : 0;
  if (p.labels && !p.counts(label)) {
    *loss = 0.0f;
    if (p.probabilities) p.probabilities[position] = 0.0f;
    for (std::int64_t c = 0; gradient && c < p.classes; ++c) gradient[c] = 0.0f;
    return;
  }
  F top = broadcast(-infinity);
  for (std::int64_t c = 0; c < p.classes; c += W) {
    const std::int64_t n = lanes_at(c, p.classes);
    top = larger(top, first_only(load_some(z + c, n), n, -infinity));
  }
  const float maximum = horizontal_max(top);
  const float label_logit = z[label];                       // before the gradient, which may take the place of z
  const bool dense = p.distribution || p.smoothing > 0.0f;  // every class has a target, not only the label
  const float* target = p.distribution ? p.distribution + position * p.classes : nullptr;
  const float even = p.smoothing / static_cast<float>(p.classes);
  LongSum sum, weighted_z, weighted;
  for (std::int64_t c = 0; c < p.classes; c += W) {
    const std::int64_t n = lanes_at(c, p.classes);
    const F shifted = load_some(z + c, n) - maximum, e = exp(shifted);
    sum.add(first_only(e, n, 0.0f));
    if (gradient) store_some(gradient + c, e, n);
    if (dense) {
      F t = broadcast(even);
      if (target) t = fma(load_some(target + c, n), broadcast(1.0f - p.smoothing), t);
      if (p.weight) t *= load_some(p.weight + c, n);
      weighted.add(first_only(t, n, 0.0f));
      weighted_z.add(first_only(t * shifted, n, 0.0f));
    }
  }
  const float total = horizontal_sum(sum.total()), log_total = __builtin_logf(total);
  const float dense_weight = dense ? horizontal_sum(weighted.total()) : 0.0f;
  const float label_weight = p.labels ? (1.0f - p.smoothing) * (p.weight ? p.weight[label] : 1.0f) : 0.0f;
  const float all_weight = dense_weight + label_weight;
  float value = 0.0f, factor = scale;
  if (dense) value = dense_weight * log_total - horizontal_sum(weighted_z.total());
  if (p.labels) {
    float entropy = log_total - (label_logit - maximum);
    if (p.probabilities) p.probabilities[position] = label_weight * __builtin_expf(-entropy);
    if (p.gamma > 0.0f) {
      const Focal f = focal(entropy, p.gamma);
      entropy = f.loss;
      factor *= f.factor;
    }
    value += label_weight * entropy;
  }
  *loss = value;
  if (!gradient) return;
  const float probability_scale = all_weight * factor / total;
  for (std::int64_t c = 0; c < p.classes; c += W) {
    const std::int64_t n = lanes_at(c, p.classes);
    F d = load_some(gradient + c, n) * probability_scale;
    if (dense) {
      F t = broadcast(even);
      if (target) t = fma(load_some(target + c, n), broadcast(1.0f - p.smoothing), t);
      if (p.weight) t *= load_some(p.weight + c, n);
      d -= t * factor;
    }
    store_some(gradient + c, d, n);
  }
  if (p.labels) gradient[label] -= label_weight * factor;
}

// So many classes are copied from where they lie far apart, perhaps all in the same few places of a cache.
constexpr std::int64_t most_held = 256;

// n neighbouring positions whose classes lie `inner` apart, one a lane. Plain: the target of a position is 1 for its
// label, and 0 for all others.
template <bool plain>
void columns(const SoftmaxCrossEntropy& p, float scale, const float* z, std::int64_t position,
             std::int64_t distribution_at, std::int64_t n, float* losses, float* gradient) {
  std::int32_t labels[W], keeps[W];
  for (std::int64_t lane = 0; lane < W; ++lane) labels[lane] = keeps[lane] = -1;
  for (std::int64_t lane = 0; lane < n && p.labels; ++lane) {
    const std::int64_t label = p.labels[position + lane];
    labels[lane] = static_cast<std::int32_t>(label);
    keeps[lane] = p.counts(label) ? -1 : 0;
  }
  I label, kept;
  __builtin_memcpy(&label, labels, sizeof label);
  __builtin_memcpy(&kept, keeps, sizeof kept);

  // The logits, and then their exponentials, are held here, or else stay where they are and go to the gradient's place.
  alignas(64) float held[most_held * W];
  const bool holds = p.classes <= most_held;
  const float* from = holds ? held : z;
  float* to = holds ? held : gradient;
  const std::int64_t step = holds ? W : p.inner;
  F maximum = broadcast(-infinity);
  for (std::int64_t c = 0; c < p.classes; ++c) {
    const F logit = load_some(z + c * p.inner, n);
    maximum = larger(maximum, logit);
    if (holds) store(held + c * W, logit);
  }
  const F even = broadcast(p.smoothing / static_cast<float>(p.classes));
  // The weighted, smoothed target of class c in every lane.
  const auto target = [&](std::int64_t c) {
    const F hard = p.labels ? select(label == static_cast<std::int32_t>(c), broadcast(1.0f), F{})
                            : load_some(p.distribution + distribution_at + c * p.inner, n);
    return fma(hard, broadcast(1.0f - p.smoothing), even) * (p.weight ? p.weight[c] : 1.0f);
  };
  LongSum sums, weights, products;
  F label_z = {};
  for (std::int64_t c = 0; c < p.classes; ++c) {
    const F shifted = load_some(from + c * step, n) - maximum, e = exp(shifted);
    sums.add(e);
    if (plain) {
      label_z = select(label == static_cast<std::int32_t>(c), shifted, label_z);
    } else {
      const F t = target(c);
      weights.add(t);
      // A zero target takes no part, even of a class with logit −∞.
      products.add(p.labels ? select(t == 0.0f, F{}, t * shifted) : t * shifted);
    }
    if (gradient) store_some(to + c * step, e, n);
  }
  const F sum = sums.total(), weighted = plain ? broadcast(1.0f) : weights.total();
  const F weighted_z = plain ? label_z : products.total();
  // A sum has the 1 that the largest logit contributes.
  F value = weighted * log(sum) - weighted_z, factor = broadcast(scale);
  for (std::int64_t lane = 0; lane < n && p.probabilities; ++lane) {
    const bool has_weight = keeps[lane] != 0 && weighted[lane] > 0.0f;
    p.probabilities[position + lane] =
        has_weight ? weighted[lane] * __builtin_expf(-value[lane] / weighted[lane]) : 0.0f;
  }
  for (std::int64_t lane = 0; lane < n && p.gamma > 0.0f; ++lane) {
    if (weighted[lane] > 0.0f) {
      const Focal f = focal(value[lane] / weighted[lane], p.gamma);
      value[lane] = weighted[lane] * f.loss;
      factor[lane] *= f.factor;
    }
  }
  value = select(kept, value, F{});
  store_some(losses, value, n);
  if (!gradient) return;
  const F probability_scale = weighted * factor / sum;
  for (std::int64_t c = 0; c < p.classes; ++c) {
    const F e = load_some(to + c * step, n);
    const F pull = plain ? select(label == static_cast<std::int32_t>(c), factor, F{}) : target(c) * factor;
    store_some(gradient + c * p.inner, select(kept, e * probability_scale - pull, F{}), n);
  }
}

// −w·x of the label's class; classes lie `inner` apart.
void of_logarithms(const SoftmaxCrossEntropy& p, float scale, const float* x, std::int64_t position, float* loss,
                   float* gradient) {
  const std::int64_t label = p.labels[position];
  for (std::int64_t c = 0; gradient && c < p.classes; ++c) gradient[c * p.inner] = 0.0f;
  *loss = 0.0f;
  if (!p.counts(label)) return;
  const float weight = p.weight ? p.weight[label] : 1.0f;
  *loss = -weight * x[label * p.inner];
  if (gradient) gradient[label * p.inner] = -weight * scale;
}

void positions(const SoftmaxCrossEntropy& p, float scale, const float* logits, float* losses, float* gradient,
               std::int64_t begin, std::int64_t end) {
  for (std::int64_t i = begin; p.takes_logarithms && i < end; ++i) {
    const std::int64_t at = i / p.inner * p.classes * p.inner + i % p.inner;
    of_logarithms(p, scale, logits + at, i, losses + i, gradient ? gradient + at : nullptr);
  }
  if (p.takes_logarithms) return;
  if (p.inner == 1) {
    for (std::int64_t i = begin; i < end; ++i) {
      row(p, scale, logits + i * p.classes, i, losses + i, gradient ? gradient + i * p.classes : nullptr);
    }
    return;
  }
  const bool plain = p.labels && !p.weight && p.smoothing == 0.0f;
  for (std::int64_t i = begin; i < end; i += W) {
    const std::int64_t at = i / p.inner * p.classes * p.inner + i % p.inner;
    const auto run = plain ? columns<true> : columns<false>;
    run(p, scale, logits + at, i, at, lanes_at(i, end), losses + i, gradient ? gradient + at : nullptr);
  }
}

}  // namespace

extern const SoftmaxCrossEntropyKernels softmax_cross_entropy_kernels = {
    .positions = positions,
};

}  // namespace dip::cpu::DIP_ISA
