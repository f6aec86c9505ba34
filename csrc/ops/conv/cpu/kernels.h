// What the ways to convolve share of the vector kernels.
#pragma once

#include "cpu/kernel_table.h"

namespace dip::cpu {

// A plane is copied into scratch memory with its zero padding, and for stride s split into s·s phases (every s-th row
// and column), so that each tap of the kernel reads it at a constant shift. `y0` and `x0` are where the copy begins in
// the plane; they are negative where there is padding.
struct PhaseCopy {
  std::int64_t height, width;   // of the source plane
  std::int64_t y0, x0;          // first row and column of this phase
  std::int64_t y_step, x_step;  // the stride
  std::int64_t rows, pitch;     // of the copy
};

// Taps [first, last) of one axis.
struct TapRange {
  std::int32_t first, last;
};

struct PlaneKernels {
  void (*copy_phase)(const PhaseCopy& copy, const float* plane, float* to);
  double (*sum)(const float* values, std::int64_t count);
};

}  // namespace dip::cpu

DIP_KERNEL_TABLE(PlaneKernels, plane_kernels)
