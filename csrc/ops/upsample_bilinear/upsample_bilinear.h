// Bilinear interpolation of a backend, over planes (planes, H, W).
#pragma once

#include "core/reals.h"
#include "ops/upsample_bilinear/params.h"

namespace dip::DIP_BACKEND {

void upsample_bilinear2d(const Bilinear& p, std::int64_t planes, Reals x, RealResults y);
void upsample_bilinear2d_backward(const Bilinear& p, std::int64_t planes, Reals dy, RealResults dx);

}  // namespace dip::DIP_BACKEND
