// Conversions and overlaps of boxes of a backend.
#pragma once

#include "core/reals.h"
#include "ops/boxes/params.h"

namespace dip::DIP_BACKEND {

void box_convert(BoxFormat in, BoxFormat out, std::int64_t count, Reals boxes, RealResults y);

// y (N, M) of corners a (N, 4) and b (M, 4).
void box_iou(bool generalized, std::int64_t N, std::int64_t M, Reals a, Reals b, RealResults y);

}  // namespace dip::DIP_BACKEND
