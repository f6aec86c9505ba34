// What the activation launcher in cpu.cpp asks of the vector kernels.
#pragma once

#include "core/activation_kind.h"
#include "cpu/kernel_table.h"

namespace dip::cpu {

struct ActivationKernels {
  void (*forward)(ActivationSpec activation, std::int64_t count, const float* x, float* y);
  void (*backward)(ActivationSpec activation, std::int64_t count, const float* dy, const float* y, float* dx);
  void (*maxout)(std::int64_t pieces, std::int64_t inner, const float* x, float* y, std::int32_t* indices);
};

}  // namespace dip::cpu

DIP_KERNEL_TABLE(ActivationKernels, activation_kernels)
