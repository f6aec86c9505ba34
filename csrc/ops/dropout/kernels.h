// What the dropout launcher in cpu.cpp asks of the vector kernels.
#pragma once

#include "cpu/kernel_table.h"
#include "ops/dropout/dropout.h"

namespace dip::cpu {

struct DropoutKernels {
  void (*blocks)(const Dropout& p, std::int64_t first_counter, std::int64_t count, const float* x, float* y);
};

}  // namespace dip::cpu

DIP_KERNEL_TABLE(DropoutKernels, dropout_kernels)
