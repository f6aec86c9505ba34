// Indices into planes, or volumes, as max pooling gives them and whoever takes them must check.
#pragma once

#include "bind/arguments.h"
#include "core/geometry.h"
#include "core/indices.h"

namespace dip {

// ValueError for a channel, (H, W) or (D, H, W), with more elements than an int32 index can name.
void check_channel_size(const Arguments& args, const Shape& channel);

// What to say of an index outside its channel of `size`, in an array of this shape, (N, C, H, W) or (N, C, D, H, W).
DIP_BACKEND::Describe describe_index(const Arguments& args, const Shape& shape, const Shape& size);

}  // namespace dip
