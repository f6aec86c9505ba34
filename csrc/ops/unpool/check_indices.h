// Indices into planes, as max pooling gives them and whoever takes them must check.
#pragma once

#include "bind/arguments.h"
#include "core/geometry.h"
#include "core/indices.h"

namespace dip {

// ValueError for a plane with more elements than an int32 index can name.
void check_plane_size(const Arguments& args, std::int64_t height, std::int64_t width);

// What to say of an index outside its plane of `size`, in an array of this shape, (N, C, H, W).
DIP_BACKEND::Describe describe_index(const Arguments& args, const Shape& shape, Pair size);

}  // namespace dip
