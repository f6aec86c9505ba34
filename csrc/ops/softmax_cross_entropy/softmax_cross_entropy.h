// Softmax, cross-entropy and its gradient in one pass over the logits.
#pragma once

#include "ops/softmax_cross_entropy/params.h"

namespace dip::DIP_BACKEND {

// Writes each position's loss (outer, inner) and, where `gradient` is not null, scale · dloss/dz.
void softmax_cross_entropy(const SoftmaxCrossEntropy& p, const float* logits, float* losses, float* gradient);

// Σ of the losses, in float64 and a fixed order.
double sum_of_losses(const float* losses, std::int64_t count);

// What the mean divides by: Σ of the labels' weights without the ignored ones, or the number of positions.
double mean_denominator(const SoftmaxCrossEntropy& p);

}  // namespace dip::DIP_BACKEND
