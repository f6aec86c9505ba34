// Losses of a backend that compare two arrays element by element, and two that take class labels.
#pragma once

#include "core/indices.h"
#include "core/reals.h"
#include "ops/losses/params.h"

namespace dip::DIP_BACKEND {

// *total = Σ of the losses over all elements / divisor, in a fixed order and float64. Writes the losses to `values` and
// scale · dloss/dx to `gradient` where they are not null.
void elementwise_loss(const ElementwiseLoss& p, std::int64_t count, Reals x, Reals target, float* values,
                      RealResults gradient, double divisor, double* total);

// One value a row in `values`.
void hinge_loss(const HingeLoss& p, const float* scores, const std::int64_t* target, float* values, float* gradient);

// ValueError unless the probability of every target is from 0 to 1. Targets are checked already.
void check_target_probabilities(std::int64_t outer, std::int64_t C, std::int64_t inner, const float* probabilities,
                                const std::int64_t* target, Describe describe);

// −log p_y for probabilities (outer, C, inner): one value a position in `values`.
void probability_loss(std::int64_t outer, std::int64_t C, std::int64_t inner, float scale, const float* probabilities,
                      const std::int64_t* target, float* values, float* gradient);

}  // namespace dip::DIP_BACKEND
