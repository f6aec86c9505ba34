// What the max pooling launcher in cpu.cpp asks of the vector kernels.
#pragma once

#include "core/axis.h"
#include "cpu/kernel_table.h"

namespace dip::cpu {

struct MaxPoolKernels {
  void (*volume)(const Window3d& window, const float* x, float* y, std::int32_t* indices);
};

}  // namespace dip::cpu

DIP_KERNEL_TABLE(MaxPoolKernels, max_pool_kernels)
