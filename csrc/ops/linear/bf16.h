// Linear layers out of bfloat16 products, on processors that multiply them.
#pragma once

#include "ops/linear/linear.h"

namespace dip::cpu {

enum class LinearProduct { forward, backward_data, backward_weight };

// What a product takes, in multiply-adds of one lane; infinite where the processor multiplies no such numbers.
struct LinearCosts {
  double bf16, float32;
};
LinearCosts linear_costs(LinearProduct which, const Linear& p);

// Whether bfloat16 products are the cheaper way, or the one that set_linear_way asks for.
bool takes_bf16(const LinearCosts& costs);

// False where these are not the cheaper way, or where the numbers forbid them.
bool linear_forward_by_bf16(const Linear& p, const float* x, const float* weight, const float* bias, float* y);
bool linear_backward_data_by_bf16(const Linear& p, const float* dy, const float* weight, float* dx);
bool linear_backward_weight_by_bf16(const Linear& p, const float* dy, const float* x, float* dweight);

}  // namespace dip::cpu
