// Linear layers out of bfloat16 products, on processors that multiply them.
#pragma once

#include "ops/linear/linear.h"

namespace dip::cpu {

// False where these are not the cheaper way, or where the numbers forbid them.
bool linear_forward_by_bf16(const Linear& p, const float* x, const float* weight, const float* bias, float* y);
bool linear_backward_data_by_bf16(const Linear& p, const float* dy, const float* weight, float* dx);
bool linear_backward_weight_by_bf16(const Linear& p, const float* dy, const float* x, float* dweight);

}  // namespace dip::cpu
