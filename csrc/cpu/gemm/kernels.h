// What launchers of matrix products ask of the vector kernels: to lay out operands.
#pragma once

#include "cpu/kernel_table.h"

namespace dip::cpu {

struct PackingKernels {
  std::int64_t lanes;         // of a vector: rows in a panel of pack_lanes()
  std::int64_t lane_columns;  // columns of a tile whose vector is along the rows
  std::int64_t row_block;     // rows in a panel of pack_rows()
  // packed[panel][k][row] = matrix[row·row_stride + column_offset[k]], zeros below the last row.
  void (*pack_rows)(const float* matrix, std::int64_t row_stride, const std::int64_t* column_offset, std::int64_t rows,
                    std::int64_t depth, float* packed);
  // packed[k][lane] = matrix[lane·row_stride + column_offset[k]], for up to `lanes` rows.
  void (*pack_lanes)(const float* matrix, std::int64_t row_stride, const std::int64_t* column_offset, std::int64_t rows,
                     std::int64_t depth, float* packed);
  // to[j·to_row + i] = from[i·from_row + j]
  void (*transpose)(const float* from, std::int64_t from_row, std::int64_t rows, std::int64_t columns, float* to,
                    std::int64_t to_row);
};

}  // namespace dip::cpu

DIP_KERNEL_TABLE(PackingKernels, packing_kernels)
