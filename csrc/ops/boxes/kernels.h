// What the launchers of overlaps in cpu.cpp ask of the vector kernels.
#pragma once

#include "cpu/kernel_table.h"
#include "ops/boxes/params.h"

namespace dip::cpu {

// Corners of many boxes, an array each.
struct CornerArrays {
  const double *x1, *y1, *x2, *y2;
};

struct BoxKernels {
  // y[j] is the overlap of `box` with box j.
  void (*iou)(const Corners& box, const CornerArrays& boxes, std::int64_t count, bool generalized, float* y);
};

}  // namespace dip::cpu

DIP_KERNEL_TABLE(BoxKernels, box_kernels)
