// Which convolutions the GPU computes as products of packed numbers.
#pragma once

#include "core/tensor.h"
#include "ops/conv/params.h"

namespace dip::cuda {

// Arrays of 16 bits, and float32 where a split into bfloat16 numbers is as precise as was asked and faster; of sizes
// that 32-bit offsets reach when the channels of every group are filled up to a multiple of eight.
bool uses_packed(const Conv2d& p, DType dtype);

}  // namespace dip::cuda
