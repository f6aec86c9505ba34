// What the optimizer launcher in cpu.cpp asks of the vector kernels.
#pragma once

#include "cpu/kernel_table.h"
#include "ops/optimizers/params.h"

namespace dip::cpu {

struct OptimizerKernels {
  void (*update)(const Update& update, const UpdateTensor& tensor, float gradient_factor);
  double (*sum_of_squares)(const float* values, std::int64_t count);
};

}  // namespace dip::cpu

DIP_KERNEL_TABLE(OptimizerKernels, optimizer_kernels)
