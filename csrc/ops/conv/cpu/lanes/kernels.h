// What the way by lanes asks of the vector kernels.
#pragma once

#include "core/activation_kind.h"
#include "cpu/kernel_table.h"
#include "ops/conv/cpu/kernels.h"

namespace dip::cpu {

// The same sums with the rows of the matrix as the vector and the positions of the grid one by one:
// out[m][i, j] = activation(bias[m] + Σ_{c, r, s} packed[m][c, r, s] · source[offset[c, r, s] + i·row + j·column]).
// Nothing is copied and nothing is padded: at the edges, the taps that miss the image are left out.
struct LaneProduct {
  const float* packed;  // pack_lanes() of the matrix
  const float* source;
  const std::int64_t* offset;
  std::int64_t channels, tap_rows, tap_columns;  // extents of c, r and s
  std::int64_t panel;                            // distance of the panels in `packed`
  const TapRange *row_taps, *column_taps;        // for every i, and every j: which r and s meet the image
  std::int64_t grid_w;                           // as many j
  std::int64_t images;
  std::int64_t source_image, source_row, source_column;  // distances in `source` of images, i and j
  float* out;
  std::int64_t out_image, out_plane, out_row, out_column;  // distances in `out` of images, m, i and j
  const float* bias;                                       // may be null
  ActivationSpec activation;
};

// dweight[m][k] (+)= Σ_{image, q} left[panel of m][image, q][m] · right[image·right_image + offset[q] + tap[k]]: the
// weight gradient with the filters as the vector.
struct LaneGradient {
  const float* left;  // panels of `lanes` filters, left_panel apart, each images × positions × lanes
  std::int64_t left_panel;
  const float* right;
  std::int64_t images, right_image;
  const std::int64_t* offset;  // of every position
  std::int64_t positions;
  const std::int64_t* tap;  // `depth` of them
  std::int64_t depth, rows;
  float* out;  // rows × depth
  bool accumulate;
};

struct LaneKernels {
  // Rows [row_begin, row_end), whole panels but for the last, of the grid's rows [grid_begin, grid_end).
  void (*product)(const LaneProduct& p, std::int64_t row_begin, std::int64_t row_end, std::int64_t grid_begin,
                  std::int64_t grid_end);
  // Rows [row_begin, row_end), two panels at most, of taps [tap_begin, tap_end).
  void (*gradient)(const LaneGradient& p, std::int64_t row_begin, std::int64_t row_end, std::int64_t tap_begin,
                   std::int64_t tap_end, float* sums);  // room for 2·lanes numbers a tap
};

}  // namespace dip::cpu

DIP_KERNEL_TABLE(LaneKernels, lane_kernels)
