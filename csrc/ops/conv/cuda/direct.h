// Convolution on the GPU with one result a thread: any size, any geometry.
#pragma once

#include "core/conv2d.h"

namespace dip::cuda {

void conv2d_forward_direct(const Conv2d& p, const float* x, const float* weight, const float* bias, float* y);
void conv2d_backward_data_direct(const Conv2d& p, const float* dy, const float* weight, float* dx);
void conv2d_backward_weight_direct(const Conv2d& p, const float* dy, const float* x, float* dweight);

}  // namespace dip::cuda
