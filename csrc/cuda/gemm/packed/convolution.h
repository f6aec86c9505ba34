// Convolutions, and linear layers as those of images of one pixel, as products of packed numbers on tensor cores.
#pragma once

#include "core/conv2d.h"
#include "core/reals.h"

namespace dip::cuda {

// Arrays of 16 bits, and float32 where a split into bfloat16 numbers is as precise as was asked and faster; of sizes
// that 32-bit offsets reach when the channels of every group are filled up to a multiple of eight.
bool uses_packed(const Conv2d& p, DType dtype);

void conv2d_forward_packed(const Conv2d& p, Reals x, Reals weight, Reals bias, RealResults y);
void conv2d_backward_data_packed(const Conv2d& p, Reals dy, Reals weight, RealResults dx);
void conv2d_backward_weight_packed(const Conv2d& p, Reals dy, Reals x, RealResults dweight);

}  // namespace dip::cuda
