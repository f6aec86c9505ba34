// Operands laid out for tiles, compiled once for each instruction set.
#include "cpu/gemm/kernels.h"

#include "cpu/gemm/lane_tiles.h"

namespace dip::cpu::DIP_ISA {
namespace {

// Panels of MR rows, column by column, as outer_tile reads them: packed[panel][k][m] = matrix[m·row_stride +
// column_offset[k]], zeros below the last row.
void pack_rows(const float* matrix, std::int64_t row_stride, const std::int64_t* column_offset, std::int64_t rows,
               std::int64_t depth, float* packed) {
  for (std::int64_t m0 = 0; m0 < rows; m0 += MR, packed += depth * MR) {
    for (std::int64_t m = 0; m < MR; ++m) {
      const float* row = matrix + (m0 + m) * row_stride;
      for (std::int64_t k = 0; k < depth; ++k) packed[k * MR + m] = m0 + m < rows ? row[column_offset[k]] : 0.0f;
    }
  }
}

// A panel holds whole vectors: zeros beyond the last row.
void pack_lanes(const float* matrix, std::int64_t row_stride, const std::int64_t* column_offset, std::int64_t rows,
                std::int64_t depth, float* packed) {
  for (std::int64_t k = 0; k < depth * W && rows < W; ++k) packed[k] = 0.0f;
  for (std::int64_t k = 0; k < depth;) {
    // Columns that lie side by side, in this or the other direction, are transposed together.
    std::int64_t end = k + 1;
    const std::int64_t step = end < depth && column_offset[end] < column_offset[k] ? -1 : 1;
    while (end < depth && column_offset[end] == column_offset[end - 1] + step) ++end;
    if (step > 0) {
      transpose(matrix + column_offset[k], row_stride, rows, end - k, packed + k * W, W);
    } else {
      transpose(matrix + column_offset[end - 1], row_stride, rows, end - k, packed + (end - 1) * W, -W);
    }
    k = end;
  }
}

}  // namespace

extern const PackingKernels packing_kernels = {
    .lanes = W,
    .lane_columns = lane_columns,
    .row_block = MR,
    .pack_rows = pack_rows,
    .pack_lanes = pack_lanes,
    .transpose = transpose,
};

}  // namespace dip::cpu::DIP_ISA
