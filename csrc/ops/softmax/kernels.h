// What the softmax launcher in cpu.cpp asks of the vector kernels.
#pragma once

#include "cpu/kernel_table.h"
#include "ops/softmax/params.h"

namespace dip::cpu {

// Positions [begin, end) of the outer·inner ones; a range lies within one outer index unless inner is 1.
struct SoftmaxKernels {
  void (*forward)(const Softmax& p, const float* x, float* y, std::int64_t begin, std::int64_t end);
  void (*backward)(const Softmax& p, const float* dy, const float* y, float* dx, std::int64_t begin, std::int64_t end);
};

}  // namespace dip::cpu

DIP_KERNEL_TABLE(SoftmaxKernels, softmax_kernels)
