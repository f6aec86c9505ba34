// What the warping launchers in cpu.cpp ask of the vector kernels, for one row of results and one channel at a time.
#pragma once

#include "cpu/kernel_table.h"
#include "ops/warp/params.h"

namespace dip::cpu {

// Where the results of a row are read: each in a block of x, of as many rows and columns as the interpolation has taps,
// all of which are inside x.
struct WarpedRow {
  std::int64_t width;   // results
  std::int32_t* first;  // the upper left element of each block
  float* weights;       // of each block: of its columns, then of its rows
  float* slopes;        // the derivatives of the weights by the place; null where nobody asks for them
};

struct WarpKernels {
  // Of row `row`. Where a tap would be outside height × width, `first` becomes −1, and the rest is left as it is.
  void (*prepare)(Interpolation, const float* flow_x, const float* flow_y, std::int64_t row, std::int64_t height,
                  std::int64_t width, const WarpedRow& to);
  // y = x between the elements. The width of x is given here and below.
  void (*forward)(Interpolation, const WarpedRow& row, std::int64_t width, const float* x, float* y);
  // sums += dy, shared out to the elements
  void (*backward_data)(Interpolation, const WarpedRow& row, std::int64_t width, const float* dy, double* sums);
  // Adds dy times the slopes of x to the right and down.
  void (*backward_flow)(Interpolation, const WarpedRow& row, std::int64_t width, const float* dy, const float* x,
                        double* right, double* down);
};

}  // namespace dip::cpu

DIP_KERNEL_TABLE(WarpKernels, warp_kernels)
