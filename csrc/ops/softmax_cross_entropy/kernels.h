// What the softmax cross-entropy launcher in cpu.cpp asks of the vector kernels.
#pragma once

#include "cpu/kernel_table.h"
#include "ops/softmax_cross_entropy/params.h"

namespace dip::cpu {

struct SoftmaxCrossEntropyKernels {
  // Positions [begin, end) of the outer·inner ones; a range lies within one outer index unless inner is 1. The gradient
  // is multiplied by `scale`.
  void (*positions)(const SoftmaxCrossEntropy& p, float scale, const float* logits, float* losses, float* gradient,
                    std::int64_t begin, std::int64_t end);
};

}  // namespace dip::cpu

DIP_KERNEL_TABLE(SoftmaxCrossEntropyKernels, softmax_cross_entropy_kernels)
