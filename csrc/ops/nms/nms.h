// Non-maximum suppression of a backend.
#pragma once

#include "core/reals.h"

namespace dip::DIP_BACKEND {

// From the highest score down, each box that is left is kept, and suppresses those after it of its class whose
// intersection with it is more than `threshold` of their union. Equal scores are taken by index, and NaN last. `kept`
// has room for all, and gets the indices of those that are kept, in this order; how many is the result. `classes` may
// be null: all the same.
std::int64_t nms(std::int64_t count, double threshold, Reals boxes, Reals scores, const std::int64_t* classes,
                 std::int32_t* kept);

}  // namespace dip::DIP_BACKEND
