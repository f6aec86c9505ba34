// Convolutions of few channels on the GPU: depthwise and almost depthwise ones, and the first layers of small networks.
// A tile of the matrix product would stay nearly empty.
#pragma once

#include "core/conv2d.h"
#include "core/reals.h"

namespace dip::cuda {

bool has_few_channels(const Conv2d& p);

void conv2d_forward_few(const Conv2d& p, Reals x, Reals weight, Reals bias, RealResults y);

// Whether max pooling can follow in the same kernel; y and indices are of the windows then.
bool pools_few_channels(const Conv2d& p, const Window2d& pool);
void conv2d_max_pool2d_forward_few(const Conv2d& p, const float* x, const float* weight, const float* bias, float* y,
                                   std::int32_t* indices);

void conv2d_backward_data_few(const Conv2d& p, Reals dy, Reals weight, RealResults dx);
void conv2d_backward_weight_few(const Conv2d& p, Reals dy, Reals x, RealResults dweight);

}  // namespace dip::cuda
