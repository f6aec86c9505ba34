// What the linear launcher in cpu.cpp asks of the vector kernels.
#pragma once

#include "core/activation_kind.h"
#include "cpu/kernel_table.h"

namespace dip::cpu {

// y[n][o] = activation(Σ_i x[n][i] · weight[o][i] + bias[o]); both operands are read along their contiguous rows.
struct RowDots {
  const float *x, *weight, *bias;
  float* y;
  std::int64_t in, out, x_row;
  ActivationSpec activation;
};

// c[m][j] (+)= Σ_k packed[m][k] · b[offset[k] + j]
struct PanelProduct {
  const float *packed, *b;
  const std::int64_t* offset;
  std::int64_t depth, columns;
  float* c;
  bool accumulate;
};

// Rows of results `out` apart: y = activation(y + bias); bias may be null.
struct RowFinish {
  float* y;
  const float* bias;
  std::int64_t out;
  ActivationSpec activation;
};

struct LinearKernels {
  std::int64_t column_block, dot_row_block;
  void (*row_dots)(const RowDots& p, std::int64_t row_begin, std::int64_t row_end, std::int64_t column_begin,
                   std::int64_t column_end);
  void (*panel_product)(const PanelProduct& p, std::int64_t row_begin, std::int64_t row_end, std::int64_t column_begin,
                        std::int64_t column_end);
  // Of one row of the product, c[j] = Σ_k a[k] · b[k·columns + j] for j in [column_begin, column_end).
  void (*row_product)(const float* a, const float* b, std::int64_t depth, std::int64_t columns, float* c,
                      std::int64_t column_begin, std::int64_t column_end);
  void (*finish_rows)(const RowFinish& p, std::int64_t row_begin, std::int64_t row_end, std::int64_t column_begin,
                      std::int64_t column_end);
  void (*column_sums)(const float* matrix, std::int64_t rows, std::int64_t row_stride, std::int64_t columns,
                      float* sums);
};

}  // namespace dip::cpu

DIP_KERNEL_TABLE(LinearKernels, linear_kernels)
