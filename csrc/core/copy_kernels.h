// Copies on the GPU that change the form: of arrays whose elements do not lie side by side, or of another dtype.
#pragma once

#include <memory>

#include "core/device_runtime.h"
#include "core/reals.h"

namespace dip::cuda {

// Copies `count` elements of `bytes` each from the strided `from` to the contiguous `to`. Strides are in elements.
void copy_strided(void* to, const void* from, std::int64_t bytes, std::int64_t count, const Shape& shape,
                  const Shape& strides);

// to[i] = from[i], rounded to the nearest number of the other dtype, ties to even. Between the three dtypes of real
// numbers, and from int32 to int64.
void convert(void* to, DType to_dtype, const void* from, DType from_dtype, std::int64_t count);

// The numbers of an array in float32: it, or a widened copy.
class Widened {
 public:
  Widened(Reals x, std::int64_t count);
  operator const float*() const { return data_; }

 private:
  std::unique_ptr<DeviceMemory> memory_;
  const float* data_;
};

// Where to compute a result in float32: the array itself, or memory that round() rounds into it.
class Unrounded {
 public:
  Unrounded(RealResults y, std::int64_t count);
  operator float*() const { return data_; }
  void round() const;

 private:
  RealResults result_;
  std::int64_t count_;
  std::unique_ptr<DeviceMemory> memory_;
  float* data_;
};

}  // namespace dip::cuda
