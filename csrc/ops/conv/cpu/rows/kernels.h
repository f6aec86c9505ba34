// What the way by rows asks of the vector kernels.
#pragma once

#include "core/activation_kind.h"
#include "cpu/kernel_table.h"

namespace dip::cpu {

// One row of a ShiftedProduct, for groups of so few filters and channels that a tile would stay nearly empty:
// out[i, j] = activation(bias + Σ_k weight[k] · source[offset[k] + i·pitch + j]).
struct ShiftedRow {
  const float *weight, *source;
  const std::int64_t* offset;
  std::int64_t depth, pitch, grid_h, grid_w;
  float* out;
  std::int64_t out_row, out_column;
  float bias;
  ActivationSpec activation;
};

// The same for stride 1, read from the planes as they are, with zeros outside:
// out[i, j] = activation(bias + Σ_{c, r, s} weight[c, r, s] · source[c][first_row + i + r·dilation_h,
//                                                                     first_column + j + s·dilation_w]).
struct PlaneSum {
  const float *weight, *source;
  std::int64_t channels, height, width;  // of the source
  std::int64_t tap_rows, tap_columns, dilation_h, dilation_w, first_row, first_column;
  std::int64_t grid_h, grid_w;
  float* out;
  float bias;
  ActivationSpec activation;
};

// sum[r, s] += Σ_{i, j} left[i, j] · source[first_row + i + r·dilation_h, first_column + j + s·dilation_w] for 3 × 3
// taps and stride 1, read from the plane as it is, with zeros outside: the gradient of a PlaneSum.
struct PlaneDots {
  const float *left, *source;
  std::int64_t height, width;  // of the source
  std::int64_t dilation_h, dilation_w, first_row, first_column;
  std::int64_t grid_h, grid_w;
  double* sum;
};

// sum[k] += Σ_{i, j} left[i·left_row + j] · right[offset[k] + i·pitch + j]: the gradient of such a row.
struct ShiftedRowDots {
  const float *left, *right;
  const std::int64_t* offset;
  std::int64_t depth, left_row, pitch, grid_h, grid_w;
  double* sum;
};

struct RowKernels {
  void (*shifted_row)(const ShiftedRow& p);
  std::int64_t most_tap_columns;
  void (*plane_sum)(const PlaneSum& p);  // for up to most_tap_columns
  void (*plane_dots)(const PlaneDots& p);
  void (*shifted_row_dots)(const ShiftedRowDots& p);
};

}  // namespace dip::cpu

DIP_KERNEL_TABLE(RowKernels, row_kernels)
