// What the local response normalisation launcher in cpu.cpp asks of the vector kernels.
#pragma once

#include "cpu/kernel_table.h"
#include "ops/local_response_norm/params.h"

namespace dip::cpu {

// Positions [begin, end) of the N·inner ones; a range lies within one example unless inner is 1. Backward needs
// room for C vectors of the widest set, 16 floats each.
struct LocalResponseNormKernels {
  void (*forward)(const LocalResponseNorm& p, const float* x, float* y, std::int64_t begin, std::int64_t end);
  void (*backward)(const LocalResponseNorm& p, const float* dy, const float* x, float* dx, float* scratch,
                   std::int64_t begin, std::int64_t end);
};

}  // namespace dip::cpu

DIP_KERNEL_TABLE(LocalResponseNormKernels, local_response_norm_kernels)
