// The convolution operators of a backend. Arguments are checked already; arrays are contiguous.
#pragma once

#include <string>

#include "core/tensor.h"
#include "ops/conv/params.h"

namespace dip::DIP_BACKEND {

// y = activation(x ⋆ weight + bias); bias may be null.
void conv2d_forward(const Conv2d& p, const float* x, const float* weight, const float* bias, float* y);

// dx = Σ_k dy_k convolved with weight_k: the gradient of ⟨dy, conv2d(x, weight)⟩ with respect to x.
void conv2d_backward_data(const Conv2d& p, const float* dy, const float* weight, float* dx);

// dweight = the gradient of ⟨dy, conv2d(x, weight)⟩ with respect to weight, summed over the batch.
void conv2d_backward_weight(const Conv2d& p, const float* dy, const float* x, float* dweight);

// dbias_k = Σ dy over all images and positions.
void conv2d_backward_bias(const Conv2d& p, const float* dy, float* dbias);

// The same on arrays of float16, bfloat16 or float32 as they are stored, as a product of packed numbers. False, and
// nothing done, where the backend has none, or float32 is no slower.
bool conv2d_forward_packed(const Conv2d& p, DType dtype, const void* x, const void* weight, const void* bias, void* y);
bool conv2d_backward_data_packed(const Conv2d& p, DType dtype, const void* dy, const void* weight, void* dx);
bool conv2d_backward_weight_packed(const Conv2d& p, DType dtype, const void* dy, const void* x, void* dweight);

// In words, how this backend computes `op`, conv2d or one of its gradients, and why so.
std::string conv2d_choice(const std::string& op, const Conv2d& p);

}  // namespace dip::DIP_BACKEND
