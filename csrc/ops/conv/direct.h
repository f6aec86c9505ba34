// Convolution on the GPU with one result a thread: any size, any geometry.
#pragma once

#include "ops/conv/params.h"

namespace dip::cuda {

// Groups of so few channels that a tile of the matrix product would stay nearly empty.
bool has_few_channels(const Conv2d& p);

// Those, and arrays of which 32-bit offsets do not reach every element.
bool use_direct(const Conv2d& p);

void conv2d_forward_direct(const Conv2d& p, const float* x, const float* weight, const float* bias, float* y);
void conv2d_backward_data_direct(const Conv2d& p, const float* dy, const float* weight, float* dx);
void conv2d_backward_weight_direct(const Conv2d& p, const float* dy, const float* x, float* dweight);

}  // namespace dip::cuda
