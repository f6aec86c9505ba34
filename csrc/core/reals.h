// Arrays of real numbers as operators read and write them.
#pragma once

#include "core/tensor.h"

namespace dip {

// NumPy arrays are float32.
namespace cpu {
using Reals = const float*;
using RealResults = float*;
}  // namespace cpu

// On the GPU they may be float16 or bfloat16 as well: widened as they are read, and rounded as they are written
// (cuda/half.h).
namespace cuda {
struct Reals {
  const void* data;
  DType dtype;

  Reals(const float* data_) : data(data_), dtype(DType::float32) {}
  Reals(const void* data_, DType dtype_) : data(data_), dtype(dtype_) {}
};
struct RealResults {
  void* data;
  DType dtype;

  RealResults(float* data_) : data(data_), dtype(DType::float32) {}
  RealResults(void* data_, DType dtype_) : data(data_), dtype(dtype_) {}
};
}  // namespace cuda

}  // namespace dip
