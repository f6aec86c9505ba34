// Results of a convolution and its gradients from their definition, in float64: sums over exactly those places where a
// window meets the input. That is what counts: padding is not a zero that is multiplied, but nothing.
#pragma once

#include "core/conv2d.h"

namespace dip::cpu {

// Which results to compute. Fast ways multiply padding like any number, and 0·∞ and 0·NaN are NaN: where an operand is
// not finite their NaN are looked at again. They never hide one.
enum class Which { all, nan };

void forward_by_definition(const Conv2d& p, Which which, const float* x, const float* weight, const float* bias,
                           float* y);
void backward_data_by_definition(const Conv2d& p, Which which, const float* dy, const float* weight, float* dx);
void backward_weight_by_definition(const Conv2d& p, Which which, const float* dy, const float* x, float* dweight);

}  // namespace dip::cpu
