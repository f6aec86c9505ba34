// Copies on the GPU that change the form: of arrays whose elements do not lie side by side, or of another dtype.
#pragma once

#include <functional>
#include <memory>

#include "core/reals.h"
#include "cuda/runtime.h"

namespace dip::cuda {

// Copies `count` elements of `bytes` each from the strided `from` to the contiguous `to`. Strides are in elements.
void copy_strided(void* to, const void* from, std::int64_t bytes, std::int64_t count, const Shape& shape,
                  const Shape& strides);

// to[i] = from[i], rounded to the nearest number of the other dtype, ties to even. Between the three dtypes of real
// numbers, from other integers to int64, and from int64 to int32, whose numbers must fit.
void convert(void* to, DType to_dtype, const void* from, DType from_dtype, std::int64_t count);

// The numbers of an array in float32: it, or a widened copy.
class Widened {
 public:
  Widened(Reals x, std::int64_t count);
  operator const float*() const { return data_; }
  const float* data() const { return data_; }

 private:
  std::unique_ptr<DeviceMemory> memory_;
  const float* data_;
};

// Calls compute with where to leave a result in float32: in the array itself, or in memory that is rounded into it
// then.
void in_float32(RealResults y, std::int64_t count, const std::function<void(float*)>& compute);

// The same; where y is null, in memory that is dropped then.
void in_float32_or_scratch(RealResults y, std::int64_t count, const std::function<void(float*)>& compute);

}  // namespace dip::cuda
