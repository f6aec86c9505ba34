// What the transposed convolution asks of the vector kernels.
#pragma once

#include "core/activation_kind.h"
#include "cpu/kernel_table.h"

namespace dip::cpu {

struct ConvTransposeKernels {
  // plane[i] = activation(plane[i] + bias)
  void (*finish)(float* plane, std::int64_t count, float bias, const ActivationSpec& activation);
};

}  // namespace dip::cpu

DIP_KERNEL_TABLE(ConvTransposeKernels, conv_transpose_kernels)
