// Unpooling and upsampling of a backend, over planes.
#pragma once

#include "core/geometry.h"
#include "core/indices.h"
#include "core/reals.h"

namespace dip::DIP_BACKEND {

// y = 0, then y[indices[i]] += x[i] in the order of i, in every plane, x's of the size `small` and y's of `large`: max
// unpooling and the gradient of max pooling. IndexError with what `describe` says for an index outside its plane.
void scatter_planes(std::int64_t planes, Pair small, Pair large, Reals x, const std::int32_t* indices, RealResults y,
                    const Describe& describe);

// dx[i] = dy[indices[i]]: the gradient of scatter_planes, and IndexError as there.
void gather_planes(std::int64_t planes, std::int64_t in, std::int64_t out, Reals dy, const std::int32_t* indices,
                   RealResults dx, const Describe& describe);

// Element (h, w) of a large plane is that of the small one at (⌊h·height/large_height⌋, ⌊w·width/large_width⌋).
struct Nearest {
  std::int64_t height, width, large_height, large_width;
};

void upsample_nearest2d(const Nearest& p, std::int64_t planes, Reals x, RealResults y);
void upsample_nearest2d_backward(const Nearest& p, std::int64_t planes, Reals dy, RealResults dx);

struct Nails {
  std::int64_t height, width;     // of the small plane
  std::int64_t scale_h, scale_w;  // the large plane is height·scale_h × width·scale_w
  std::int64_t row, column;       // where in its block the value stands
};

void bed_of_nails2d(const Nails& p, std::int64_t planes, Reals x, RealResults y);
void bed_of_nails2d_backward(const Nails& p, std::int64_t planes, Reals dy, RealResults dx);

}  // namespace dip::DIP_BACKEND
