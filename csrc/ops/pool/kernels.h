// What the pooling launcher in cpu.cpp asks of the vector kernels.
#pragma once

#include "cpu/kernel_table.h"
#include "ops/pool/params.h"

namespace dip::cpu {

struct PoolKernels {
  void (*forward)(const Pool& p, const float* x, float* y);
  std::int64_t (*scratch_numbers)(const Pool& p);
  void (*backward)(const Pool& p, const float* dy, const float* x, const float* y, float* dx, float* scratch);
};

}  // namespace dip::cpu

DIP_KERNEL_TABLE(PoolKernels, pool_kernels)
