// The linear operators of a backend: y = activation(x · weightᵀ + bias), x (N, I), weight (O, I), y (N, O).
#pragma once

#include <cstdint>

#include "core/activation_kind.h"
#include "core/precision.h"
#include "core/tensor.h"

namespace dip {

struct Linear {
  std::int64_t N = 0, in = 0, out = 0;
  ActivationSpec activation;
  Precision precision = Precision::highest;
};

namespace DIP_BACKEND {

void linear_forward(const Linear& p, const float* x, const float* weight, const float* bias, float* y);
void linear_backward_data(const Linear& p, const float* dy, const float* weight, float* dx);
void linear_backward_weight(const Linear& p, const float* dy, const float* x, float* dweight);
void linear_backward_bias(const Linear& p, const float* dy, float* dbias);

// The same on arrays of float16, bfloat16 or float32 as they are stored, as a product of packed numbers. False, and
// nothing done, where the backend has none, or float32 is no slower.
bool linear_forward_packed(const Linear& p, DType dtype, const void* x, const void* weight, const void* bias, void* y);
bool linear_backward_data_packed(const Linear& p, DType dtype, const void* dy, const void* weight, void* dx);
bool linear_backward_weight_packed(const Linear& p, DType dtype, const void* dy, const void* x, void* dweight);

}  // namespace DIP_BACKEND
}  // namespace dip
