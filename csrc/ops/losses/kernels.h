// What the loss launcher in cpu.cpp asks of the vector kernels.
#pragma once

#include "cpu/kernel_table.h"
#include "ops/losses/params.h"

namespace dip::cpu {

struct LossKernels {
  double (*elementwise)(const ElementwiseLoss& p, std::int64_t count, const float* x, const float* target,
                        float* values, float* gradient);
};

}  // namespace dip::cpu

DIP_KERNEL_TABLE(LossKernels, loss_kernels)
