// Copies on the GPU that change the form: of arrays whose elements do not lie side by side, or of another dtype.
#pragma once

#include "core/tensor.h"

namespace dip::cuda {

// Copies `count` elements of `bytes` each from the strided `from` to the contiguous `to`. Strides are in elements.
void copy_strided(void* to, const void* from, std::int64_t bytes, std::int64_t count, const Shape& shape,
                  const Shape& strides);

// to[i] = from[i], rounded to the nearest number of the other dtype, ties to even. Between the three dtypes of real
// numbers, and from int32 to int64.
void convert(void* to, DType to_dtype, const void* from, DType from_dtype, std::int64_t count);

}  // namespace dip::cuda
