// Softmax, cross-entropy and its gradient in one pass over the logits.
#pragma once

#include "core/indices.h"
#include "core/reals.h"
#include "ops/softmax_cross_entropy/params.h"

namespace dip::DIP_BACKEND {

// Writes each position's loss (outer, inner) where `losses` is not null, the gradient of their sum or mean where
// `gradient` is not, and that sum or mean, added in float64 and a fixed order. The mean divides by the sum of the
// labels' weights without the ignored ones, or by the number of positions of distributions; where that is 0, the
// gradient is 0 and the mean NaN. IndexError with what `describe` says for a label that is no class. `distribution` and
// `weight` become p's.
void softmax_cross_entropy(SoftmaxCrossEntropy p, Reals logits, Reals distribution, Reals weight, RealResults losses,
                           RealResults gradient, double* value, const Describe& describe);

// The focal loss with γ = −log p̂, where p̂ is `running`; then p̂ becomes momentum·p̂ + (1 − momentum)·mean of the labels'
// probabilities, weighted as the labels are, unless nothing counts or `updates` is false. For class indices.
void automated_focal_loss(SoftmaxCrossEntropy p, double momentum, bool updates, Reals logits, Reals weight,
                          float* running, RealResults losses, RealResults gradient, double* value,
                          const Describe& describe);

}  // namespace dip::DIP_BACKEND
