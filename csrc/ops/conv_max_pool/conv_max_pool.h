// Convolution followed by max pooling in one kernel, where a backend has one that is cheaper than two.
#pragma once

#include "ops/conv/params.h"

namespace dip::DIP_BACKEND {

// y and indices of max pooling activation(x ⋆ weight + bias) over windows without overlap and padding. False, and
// nothing is done, where two kernels do it better.
bool conv2d_max_pool2d_forward(const Conv2d& p, const Window2d& pool, const float* x, const float* weight,
                               const float* bias, float* y, std::int32_t* indices);

// Its gradients from dy, after the activation; dx may be null. False, and the results are undefined, where an index
// lies outside its window, or where several kernels do it better.
bool conv2d_max_pool2d_backward(const Conv2d& p, const Window2d& pool, const float* dy, const std::int32_t* indices,
                                const float* x, const float* weight, float* dx, float* dweight, float* dbias);

}  // namespace dip::DIP_BACKEND
