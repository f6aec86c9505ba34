// Average, sum and L2 pooling of a backend, over planes (planes, H, W) → (planes, O_h, O_w).
#pragma once

#include "core/reals.h"
#include "ops/pool/params.h"

namespace dip::DIP_BACKEND {

void pool2d_forward(const Pool2d& p, std::int64_t planes, Reals x, RealResults y);

// x and y are the forward pass's; only L2 pooling reads them.
void pool2d_backward(const Pool2d& p, std::int64_t planes, Reals dy, Reals x, Reals y, RealResults dx);

}  // namespace dip::DIP_BACKEND
