// Max pooling of a backend: y (channels, O_d, O_h, O_w), and for each window the flat index (d·H + h)·W + w of its
// maximum in the channel, of which images have one frame. NaN propagates; the first maximum (or the first NaN) wins a
// tie; padding never wins.
#pragma once

#include "core/axis.h"
#include "core/reals.h"

namespace dip::DIP_BACKEND {

void max_pool_forward(const Window3d& window, std::int64_t channels, Reals x, RealResults y, std::int32_t* indices);

}  // namespace dip::DIP_BACKEND
