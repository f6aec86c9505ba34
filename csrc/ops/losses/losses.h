// Losses of a backend that compare two arrays element by element, and two that take class labels.
#pragma once

#include "ops/losses/params.h"

namespace dip::DIP_BACKEND {

// Σ of the losses over all elements, in a fixed order and float64. Writes the losses to `values` and scale · dloss/dx
// to `gradient` where they are not null.
double elementwise_loss(const ElementwiseLoss& p, std::int64_t count, const float* x, const float* target,
                        float* values, float* gradient);

// Multi-class hinge, Σ_{j ≠ y} max(0, s_j − s_y + margin), for scores (N, C): one value a row in `values`.
void hinge_loss(std::int64_t N, std::int64_t C, float margin, float scale, const float* scores,
                const std::int64_t* target, float* values, float* gradient);

// −log p_y for probabilities (outer, C, inner): one value a position in `values`.
void probability_loss(std::int64_t outer, std::int64_t C, std::int64_t inner, float scale, const float* probabilities,
                      const std::int64_t* target, float* values, float* gradient);

}  // namespace dip::DIP_BACKEND
