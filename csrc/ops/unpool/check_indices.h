// Indices into planes, as max pooling gives them and whoever takes them must check.
#pragma once

#include "core/arguments.h"
#include "core/geometry.h"

namespace dip {

// ValueError for a plane with more elements than an int32 index can name.
void check_plane_size(const Arguments& args, std::int64_t height, std::int64_t width);

// scatter_planes of an array of this shape, (N, C, H, W), into planes of `size`, with its indices checked: IndexError,
// on the GPU later, for one that is outside its plane.
void scatter_checked(const Arguments& args, const Shape& shape, DIP_BACKEND::Reals x, const std::int32_t* indices,
                     Pair size, DIP_BACKEND::RealResults y);

}  // namespace dip
