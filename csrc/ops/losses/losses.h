// Losses of a backend that compare two arrays element by element, and two that take class labels.
#pragma once

#include "core/indices.h"
#include "core/reals.h"
#include "ops/losses/params.h"

namespace dip::DIP_BACKEND {

// All of them: *total = Σ of the losses / divisor, in a fixed order and float64; the losses, of elements, rows or
// positions, go to `values`, and scale · their gradient to `gradient`, where these are not null.

void elementwise_loss(const ElementwiseLoss& p, std::int64_t count, Reals x, Reals target, RealResults values,
                      RealResults gradient, double divisor, double* total);

// `weight` of the classes may be null.
void hinge_loss(const HingeLoss& p, Reals scores, const std::int64_t* target, Reals weight, RealResults values,
                RealResults gradient, double divisor, double* total);

// −log p_y for probabilities (outer, C, inner). Targets are checked already; ValueError with what `describe` says
// unless the probability of every one is from 0 to 1.
void probability_loss(const ProbabilityLoss& p, Reals probabilities, const std::int64_t* target, RealResults values,
                      RealResults gradient, double divisor, double* total, const Describe& describe);

}  // namespace dip::DIP_BACKEND
