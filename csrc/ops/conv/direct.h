// Convolution on the GPU with one result a thread: any size, any geometry.
#pragma once

#include "ops/conv/params.h"

namespace dip::cuda {

// Whether 32-bit offsets reach every element, and every position outside the image. What they do not reach is computed
// here.
bool fits_32_bits(const Conv2d& p);

void conv2d_forward_direct(const Conv2d& p, const float* x, const float* weight, const float* bias, float* y);
void conv2d_backward_data_direct(const Conv2d& p, const float* dy, const float* weight, float* dx);
void conv2d_backward_weight_direct(const Conv2d& p, const float* dy, const float* x, float* dweight);

}  // namespace dip::cuda
