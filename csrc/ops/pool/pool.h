// Average, sum and L2 pooling of a backend, over planes (planes, H, W) → (planes, O_h, O_w).
#pragma once

#include "ops/pool/params.h"

namespace dip::DIP_BACKEND {

void pool2d_forward(const Pool2d& p, std::int64_t planes, const float* x, float* y);

// x and y are the forward pass's; only L2 pooling reads them.
void pool2d_backward(const Pool2d& p, std::int64_t planes, const float* dy, const float* x, const float* y, float* dx);

}  // namespace dip::DIP_BACKEND
