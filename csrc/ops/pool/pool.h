// Average, sum and L2 pooling of a backend, over channels (channels, D, H, W) → (channels, O_d, O_h, O_w).
#pragma once

#include "core/reals.h"
#include "ops/pool/params.h"

namespace dip::DIP_BACKEND {

void pool_forward(const Pool& p, std::int64_t channels, Reals x, RealResults y);

// x and y are the forward pass's; only L2 pooling reads them.
void pool_backward(const Pool& p, std::int64_t channels, Reals dy, Reals x, Reals y, RealResults dx);

}  // namespace dip::DIP_BACKEND
