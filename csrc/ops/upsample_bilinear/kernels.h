// What the bilinear launcher in cpu.cpp asks of the vector kernels: a row at a time.
#pragma once

#include "cpu/kernel_table.h"

namespace dip::cpu {

// Where the results along an axis come from: x[first[o]]·(1 − weight[o]) + x[second[o]]·weight[o].
struct Sources {
  const std::int32_t *first, *second;
  const float* weight;
};

struct UpsampleBilinearKernels {
  // between = a·(1 − weight) + b·weight; then `width` results of y from its columns
  void (*row)(const float* a, const float* b, float weight, std::int64_t in_width, const Sources& columns,
              std::int64_t width, float* between, float* y);
  // The same backwards: dy is spread over `between`, and that added to the sums of the rows a and b.
  void (*row_backward)(const float* dy, const Sources& columns, std::int64_t width, float weight, std::int64_t in_width,
                       double* between, double* a, double* b);
};

}  // namespace dip::cpu

DIP_KERNEL_TABLE(UpsampleBilinearKernels, upsample_bilinear_kernels)
