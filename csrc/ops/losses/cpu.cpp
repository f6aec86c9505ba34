#include <cmath>
#include <cstring>
#include <vector>

#include "core/check.h"
#include "core/sum.h"
#include "cpu/parallel.h"
#include "cpu/scratch.h"
#include "ops/losses/kernels.h"
#include "ops/losses/losses.h"

namespace dip::cpu {

using std::int64_t;

namespace {

// A label was checked, but the caller's other threads may have changed it since: it is read once, and one that is no
// class is taken for the first.
int64_t within(int64_t label, int64_t classes) {
  return label >= 0 && label < classes ? label : 0;
}

}  // namespace

void elementwise_loss(const ElementwiseLoss& p, int64_t count, Reals x, Reals target, RealResults values,
                      RealResults gradient, double divisor, double* total) {
  const int64_t grain = element_grain(count);
  std::vector<double> partial((count + grain - 1) / grain);
  parallel_ranges(count, grain, [&](int64_t begin, int64_t end) {
    partial[begin / grain] =
        loss_kernels().elementwise(p, end - begin, x + begin, target + begin, values ? values + begin : nullptr,
                                   gradient ? gradient + begin : nullptr);
  });
  double sum = 0.0;
  for (double each : partial) sum += each;
  *total = sum / divisor;
}

void hinge_loss(const HingeLoss& p, Reals scores, const int64_t* target, Reals weights, RealResults kept,
                RealResults gradient, double divisor, double* total) {
  static thread_local Scratch scratch;
  float* values = kept ? kept : scratch.floats(p.N);
  parallel_ranges(p.N, (1 << 13) / p.C + 1, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      const float* row = scores + n * p.C;
      const int64_t label = within(target[n], p.C);
      const float own = row[label], weight = weights ? weights[label] : 1.0f;
      double loss = 0.0, slopes = 0.0;
      for (int64_t j = 0; j < p.C; ++j) {
        const float excess = row[j] - own + p.margin;
        // Written so that a NaN score makes the loss NaN.
        const bool counts = j != label && !(excess <= 0.0f);
        const float slope = !counts ? 0.0f : p.squares ? 2.0f * excess : 1.0f;
        loss += !counts ? 0.0 : p.squares ? static_cast<double>(excess) * excess : excess;
        slopes += slope;
        if (gradient) gradient[n * p.C + j] = p.scale * weight * slope;
      }
      values[n] = static_cast<float>(weight * loss);
      if (gradient) gradient[n * p.C + label] = -p.scale * weight * static_cast<float>(slopes);
    }
  });
  sum(values, p.N, divisor, total);
}

void probability_loss(const ProbabilityLoss& p, Reals probabilities, const int64_t* target, RealResults kept,
                      RealResults gradient, double divisor, double* total, const Describe& describe) {
  const auto place_of = [&](int64_t i) { return (i / p.inner * p.C + within(target[i], p.C)) * p.inner + i % p.inner; };
  for (int64_t i = 0; i < p.positions(); ++i) {
    const float probability = probabilities[place_of(i)];
    if (!(probability >= 0.0f && probability <= 1.0f)) throw ValueError(describe(i, probability));
  }
  static thread_local Scratch scratch;
  float* values = kept ? kept : scratch.floats(p.positions());
  if (gradient) std::memset(gradient, 0, p.outer * p.C * p.inner * sizeof(float));
  parallel_ranges(p.positions(), 1 << 12, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t at = place_of(i);
      values[i] = -std::log(probabilities[at]);
      if (gradient) gradient[at] = -p.scale / probabilities[at];
    }
  });
  sum(values, p.positions(), divisor, total);
}

}  // namespace dip::cpu
