// Max pooling of a backend: y (planes, O_h, O_w), and for each window the flat index h·W + w of its maximum in the
// plane. NaN propagates; the first maximum (or the first NaN) wins a tie; padding never wins.
#pragma once

#include "core/axis.h"
#include "core/reals.h"

namespace dip::DIP_BACKEND {

void max_pool2d_forward(const Window2d& window, std::int64_t planes, Reals x, RealResults y, std::int32_t* indices);

}  // namespace dip::DIP_BACKEND
