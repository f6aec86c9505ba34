// Linear layers on the CPU, compiled once for each instruction set.
//
// 2·N·I·O floating-point operations for each of the three products. Forward multiplies rows by rows, so for few rows
// both operands are read as they lie and nothing is packed; for many the weights are transposed. The two gradients have
// one operand whose columns are wanted, which is packed (N·O floats), while the larger one is read in place.
#include "ops/linear/kernels.h"

#include "cpu/gemm/tiles.h"

namespace dip::cpu::DIP_ISA {
namespace {

void finish_rows(const RowFinish& p, std::int64_t row_begin, std::int64_t row_end, std::int64_t column_begin,
                 std::int64_t column_end) {
  const std::int64_t width = column_end - column_begin;
  for (std::int64_t m = row_begin; m < row_end; ++m) {
    float* row = p.y + m * p.out + column_begin;
    if (p.bias) {
      for (std::int64_t j = 0; j < width; ++j) row[j] += p.bias[column_begin + j];
    }
    if (p.activation.kind != Activation::none) finish_row(row, width, 0.0f, p.activation.kind, p.activation.alpha);
  }
}

void row_dots(const RowDots& p, std::int64_t row_begin, std::int64_t row_end, std::int64_t column_begin,
              std::int64_t column_end) {
  for (std::int64_t o = column_begin; o < column_end; o += dot_columns) {
    const std::int64_t columns = column_end - o < dot_columns ? column_end - o : dot_columns;
    DotOperand b{{}, 0, 0};
    for (std::int64_t n = 0; n < columns; ++n) b.row[n] = p.weight + (o + n) * p.in;
    for (std::int64_t m0 = row_begin; m0 < row_end; m0 += dot_rows) {
      const std::int64_t rows = row_end - m0 < dot_rows ? row_end - m0 : dot_rows;
      DotOperand a{{}, 0, 0};
      for (std::int64_t m = 0; m < rows; ++m) a.row[m] = p.x + (m0 + m) * p.x_row;
      choose_dot_tile(rows, columns)(a, b, 1, 1, p.in, p.y + m0 * p.out + o, p.out, 1, false);
    }
  }
  finish_rows({p.y, p.bias, p.out, p.activation}, row_begin, row_end, column_begin, column_end);
}

void panel_product(const PanelProduct& p, std::int64_t row_begin, std::int64_t row_end, std::int64_t column_begin,
                   std::int64_t column_end) {
  alignas(64) float tile[MR * NR];
  for (std::int64_t m0 = row_begin; m0 < row_end; m0 += MR) {
    const std::int64_t rows = row_end - m0 < MR ? row_end - m0 : MR;
    for (std::int64_t j = column_begin; j < column_end; j += NR) {
      const std::int64_t columns = column_end - j < NR ? column_end - j : NR;
      const int vectors = static_cast<int>((columns + W - 1) / W);
      const std::int64_t last = columns - (vectors - 1) * W;
      const OuterTile multiply = choose_outer_tile(rows, vectors, last < W);
      float* c = p.c + m0 * p.columns + j;
      if (last == W) {
        multiply(p.packed + m0 * p.depth, p.b + j, p.offset, p.depth, c, p.columns, p.accumulate, W);
        continue;
      }
      for (std::int64_t m = 0; m < rows && p.accumulate; ++m) copy_row(tile + m * NR, c + m * p.columns, columns);
      multiply(p.packed + m0 * p.depth, p.b + j, p.offset, p.depth, tile, NR, p.accumulate, last);
      for (std::int64_t m = 0; m < rows; ++m) copy_row(c + m * p.columns, tile + m * NR, columns);
    }
  }
}

// Reads b along its rows, four at a time: nothing of it is met again, so the speed is that of memory.
void row_product(const float* a, const float* b, std::int64_t depth, std::int64_t columns, float* c,
                 std::int64_t column_begin, std::int64_t column_end) {
  for (std::int64_t j = column_begin; j < column_end; ++j) c[j] = 0.0f;
  for (std::int64_t k = 0; k < depth; k += 4) {
    const std::int64_t rows = depth - k < 4 ? depth - k : 4;
    for (std::int64_t j = column_begin; j < column_end; j += W) {
      const std::int64_t n = lanes_at(j, column_end);
      F sum = load_some(c + j, n);
      for (std::int64_t r = 0; r < rows; ++r) {
        sum = fma(broadcast(a[k + r]), load_some(b + (k + r) * columns + j, n), sum);
      }
      store_some(c + j, sum, n);
    }
  }
}

void column_sums(const float* matrix, std::int64_t rows, std::int64_t row_stride, std::int64_t columns, float* sums) {
  double total[16];
  for (std::int64_t j0 = 0; j0 < columns; j0 += 16) {
    const std::int64_t width = columns - j0 < 16 ? columns - j0 : 16;
    for (double& each : total) each = 0.0;
    for (std::int64_t i = 0; i < rows; ++i) {
      for (std::int64_t j = 0; j < width; ++j) total[j] += matrix[i * row_stride + j0 + j];
    }
    for (std::int64_t j = 0; j < width; ++j) sums[j0 + j] = static_cast<float>(total[j]);
  }
}

}  // namespace

extern const LinearKernels linear_kernels = {
    .column_block = NR,
    .dot_row_block = dot_rows,
    .row_dots = row_dots,
    .panel_product = panel_product,
    .row_product = row_product,
    .finish_rows = finish_rows,
    .column_sums = column_sums,
};

}  // namespace dip::cpu::DIP_ISA
