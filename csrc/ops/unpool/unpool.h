// Unpooling and upsampling of a backend, over planes.
#pragma once

#include "core/reals.h"

namespace dip::DIP_BACKEND {

// y = 0, then y[indices[i]] += x[i] in the order of i, in every plane: max unpooling and the gradient of max pooling.
// False where indices remain to be checked: one that is outside its plane may be among them, and is left out.
bool scatter_planes(std::int64_t planes, std::int64_t in, std::int64_t out, Reals x, const std::int32_t* indices,
                    RealResults y);

// dx[i] = dy[indices[i]]: the gradient of scatter_planes. False as there.
bool gather_planes(std::int64_t planes, std::int64_t in, std::int64_t out, Reals dy, const std::int32_t* indices,
                   RealResults dx);

struct Upsampling {
  std::int64_t height, width;     // of the small plane
  std::int64_t scale_h, scale_w;  // the large plane is height·scale_h × width·scale_w
  std::int64_t row, column;       // bed of nails: where in its block the value stands
};

void upsample_nearest2d(const Upsampling& p, std::int64_t planes, Reals x, RealResults y);
void upsample_nearest2d_backward(const Upsampling& p, std::int64_t planes, Reals dy, RealResults dx);
void bed_of_nails2d(const Upsampling& p, std::int64_t planes, Reals x, RealResults y);
void bed_of_nails2d_backward(const Upsampling& p, std::int64_t planes, Reals dy, RealResults dx);

}  // namespace dip::DIP_BACKEND
