// What the way by dot products asks of the vector kernels.
#pragma once

#include "cpu/kernel_table.h"

namespace dip::cpu {

// dweight[m][k] (+)= Σ_{image, q} left[image·left_image + m·plane + q] · right[image·right_image + offset[k] + q]
struct ShiftedDots {
  const float *left, *right;
  std::int64_t left_image, right_image, left_plane;
  const std::int64_t* offset;
  std::int64_t depth, rows;
  std::int64_t images, pitch, grid_h, grid_w;
  float* out;  // rows × depth
  bool accumulate;
};

struct DotKernels {
  std::int64_t row_block, column_block;
  void (*shifted_dots)(const ShiftedDots& p, std::int64_t row_begin, std::int64_t row_end, std::int64_t column_begin,
                       std::int64_t column_end);
};

}  // namespace dip::cpu

DIP_KERNEL_TABLE(DotKernels, dot_kernels)
