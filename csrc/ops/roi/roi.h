// Pooling of regions of interest of a backend. `boxes` (K, 4) are corners, `images` (K) say which image each is on.
#pragma once

#include "core/reals.h"
#include "ops/roi/params.h"

namespace dip::DIP_BACKEND {

// y (K, C, bins_h, bins_w) is the largest element of each bin, `indices` where it stands in its map; a bin with no
// element is 0 and has index −1.
void roi_pool(const Roi& p, Reals x, Reals boxes, const std::int64_t* images, RealResults y, std::int32_t* indices);
void roi_pool_backward(const Roi& p, Reals dy, Reals boxes, const std::int64_t* images, const std::int32_t* indices,
                       RealResults dx);

// y is the mean of each bin's samples².
void roi_align(const Roi& p, Reals x, Reals boxes, const std::int64_t* images, RealResults y);
void roi_align_backward(const Roi& p, Reals dy, Reals boxes, const std::int64_t* images, RealResults dx);

}  // namespace dip::DIP_BACKEND
