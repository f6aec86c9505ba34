// A convolution's weight gradient by dot products along the positions, compiled once for each instruction set.
#include "ops/conv/cpu/dots/kernels.h"

#include "cpu/gemm/tiles.h"

namespace dip::cpu::DIP_ISA {
namespace {

bool all_finite(const float* out, std::int64_t row_stride, std::int64_t rows, std::int64_t columns) {
  for (std::int64_t m = 0; m < rows; ++m) {
    for (std::int64_t k = 0; k < columns; ++k) {
      if (!(__builtin_fabsf(out[m * row_stride + k]) < infinity)) return false;
    }
  }
  return true;
}

void shifted_dots(const ShiftedDots& p, std::int64_t row_begin, std::int64_t row_end, std::int64_t column_begin,
                  std::int64_t column_end) {
  const std::int64_t flat = p.pitch * (p.grid_h - 1) + p.grid_w;
  for (std::int64_t m0 = row_begin; m0 < row_end; m0 += dot_rows) {
    const std::int64_t rows = row_end - m0 < dot_rows ? row_end - m0 : dot_rows;
    for (std::int64_t k0 = column_begin; k0 < column_end; k0 += dot_columns) {
      const std::int64_t columns = column_end - k0 < dot_columns ? column_end - k0 : dot_columns;
      DotOperand a{{}, p.left_image, p.pitch}, b{{}, p.right_image, p.pitch};
      for (std::int64_t m = 0; m < rows; ++m) a.row[m] = p.left + (m0 + m) * p.left_plane;
      for (std::int64_t k = 0; k < columns; ++k) b.row[k] = p.right + p.offset[k0 + k];
      float* out = p.out + m0 * p.depth + k0;
      const DotTile tile = choose_dot_tile(rows, columns);
      float before[dot_rows][dot_columns];
      for (std::int64_t m = 0; m < rows && p.accumulate; ++m) {
        for (std::int64_t k = 0; k < columns; ++k) before[m][k] = out[m * p.depth + k];
      }
      // The flat sum also takes zeros of dy times whatever lies between the rows of x. That adds nothing, unless it is
      // infinite or NaN, which would leak into weights that never meet it: then sum again, row by row.
      tile(a, b, p.images, 1, flat, out, p.depth, 1, p.accumulate);
      if (!all_finite(out, p.depth, rows, columns)) {
        for (std::int64_t m = 0; m < rows && p.accumulate; ++m) {
          for (std::int64_t k = 0; k < columns; ++k) out[m * p.depth + k] = before[m][k];
        }
        tile(a, b, p.images, p.grid_h, p.grid_w, out, p.depth, 1, p.accumulate);
      }
    }
  }
}

}  // namespace

extern const DotKernels dot_kernels = {
    .row_block = dot_rows,
    .column_block = dot_columns,
    .shifted_dots = shifted_dots,
};

}  // namespace dip::cpu::DIP_ISA
