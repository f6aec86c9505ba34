// What the optimizer launcher in cpu.cpp asks of the vector kernels.
#pragma once

#include "core/isa.h"
#include "ops/optimizers/params.h"

namespace dip::cpu {

struct OptimizerKernels {
  void (*update)(const Update& update, const UpdateTensor& tensor);
};

}  // namespace dip::cpu

DIP_KERNEL_TABLE(OptimizerKernels, optimizer_kernels)
