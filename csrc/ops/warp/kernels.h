// What the warping launchers in cpu.cpp ask of the vector kernels, for bilinear interpolation where all four elements
// around a place are there: those of a row of results, for one channel.
#pragma once

#include "cpu/kernel_table.h"

namespace dip::cpu {

// The upper left of the four elements of each place, and how far right and down of it the place is.
struct Between {
  std::int32_t* first;
  float *right, *down;
};

struct WarpKernels {
  // For `width` results of row `row`: `first` is −1 where one of the four elements is outside H × W.
  void (*prepare)(const float* flow_x, const float* flow_y, std::int64_t row, std::int64_t width, std::int64_t H,
                  std::int64_t W, const Between& places);
  // y = x between the elements; nothing is written where `first` is −1, here and below.
  void (*forward)(const Between& places, std::int64_t width, std::int64_t W, const float* x, float* y);
  // sums += dy, shared out to the elements
  void (*backward_data)(const Between& places, std::int64_t width, std::int64_t W, const float* dy, double* sums);
  // The sums of dy times the slopes of x to the right and down.
  void (*backward_flow)(const Between& places, std::int64_t width, std::int64_t W, const float* dy, const float* x,
                        double* right, double* down);
};

}  // namespace dip::cpu

DIP_KERNEL_TABLE(WarpKernels, warp_kernels)
