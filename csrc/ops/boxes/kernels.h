// What the launchers of overlaps in cpu.cpp ask of the vector kernels.
#pragma once

#include "cpu/kernel_table.h"
#include "ops/boxes/params.h"

namespace dip::cpu {

// Corners of many boxes, an array each.
struct CornerArrays {
  const double *x1, *y1, *x2, *y2;

  CornerArrays from(std::int64_t i) const { return {x1 + i, y1 + i, x2 + i, y2 + i}; }
};

struct BoxKernels {
  // y[j] is the overlap of `box` with box j.
  void (*iou)(const Corners& box, const CornerArrays& boxes, std::int64_t count, bool generalized, float* y);
  // left[j] becomes 0 where box j and `box` have more than `threshold` of their union in common.
  void (*suppress)(const Corners& box, const CornerArrays& boxes, std::int64_t count, double threshold,
                   std::int64_t* left);
};

}  // namespace dip::cpu

DIP_KERNEL_TABLE(BoxKernels, box_kernels)
