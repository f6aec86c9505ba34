// Convolutions of few channels on the GPU: depthwise and almost depthwise ones, and the first layers of small networks.
// A tile of the matrix product would stay nearly empty.
#pragma once

#include "core/conv2d.h"
#include "core/reals.h"

namespace dip::cuda {

bool has_few_channels(const Conv2d& p);

void conv2d_forward_few(const Conv2d& p, Reals x, Reals weight, Reals bias, RealResults y);
void conv2d_backward_data_few(const Conv2d& p, Reals dy, Reals weight, RealResults dx);
void conv2d_backward_weight_few(const Conv2d& p, Reals dy, Reals x, RealResults dweight);

}  // namespace dip::cuda
