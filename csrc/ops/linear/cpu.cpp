// Linear layers on the CPU: splits the work and calls the vector kernels.
#include <algorithm>
#include <cmath>
#include <vector>

#include "core/check.h"
#include "core/sum.h"
#include "cpu/gemm/kernels.h"
#include "cpu/parallel.h"
#include "cpu/scratch.h"
#include "ops/linear/bf16.h"
#include "ops/linear/kernels.h"
#include "ops/linear/linear.h"

namespace dip::cpu {
namespace {

using std::int64_t;

constexpr int64_t depth_block = 512;  // also keeps the rounding error of a sum over a large batch small

// Whether rows lie a multiple of 4096 bytes apart: of the ten that are read at once, more would have the same place in
// the first-level cache than it has room for.
bool rows_collide(const Linear& p) {
  return p.N > 4 && p.in % 1024 == 0;
}

// Whether forward transposes the weights, so that no sums of lanes are left to add: for many rows, which make up for
// it.
bool transposes_weights(const Linear& p) {
  return p.N >= (p.in < 256 ? 256 : 512) && !rows_collide(p);
}

// c (rows × columns) = a · b with a[m][k] = matrix[m·row_stride + k·column_stride] and b (depth × columns) contiguous.
// `finish(row_begin, row_end, column_begin, column_end)` is called for results that are complete.
template <class Finish>
void multiply(const float* matrix, int64_t row_stride, int64_t column_stride, const float* b, int64_t rows,
              int64_t depth, int64_t columns, float* c, const Finish& finish) {
  const LinearKernels& kernels = linear_kernels();
  const int64_t panels = divide_up(rows, packing_kernels().row_block);
  static thread_local Scratch packed_scratch;
  float* packed =
      packed_scratch.floats(std::max<int64_t>(1, panels * packing_kernels().row_block * std::min(depth, depth_block)));
  std::vector<int64_t> a_offsets(std::min(depth, depth_block)), b_offsets(a_offsets.size());
  for (std::size_t k = 0; k < a_offsets.size(); ++k) {
    a_offsets[k] = static_cast<int64_t>(k) * column_stride;
    b_offsets[k] = static_cast<int64_t>(k) * columns;
  }
  if (depth == 0) std::fill(c, c + rows * columns, 0.0f);
  for (int64_t k0 = 0; k0 < depth; k0 += depth_block) {
    const int64_t block = std::min(depth_block, depth - k0);
    parallel_for(panels, [&](int64_t panel) {
      const int64_t m0 = panel * packing_kernels().row_block;
      const float* from = matrix + m0 * row_stride + k0 * column_stride;
      const int64_t some = std::min(packing_kernels().row_block, rows - m0);
      if (column_stride == 1 && some == packing_kernels().row_block) {
        packing_kernels().transpose(from, row_stride, some, block, packed + m0 * block, some);
      } else {
        packing_kernels().pack_rows(from, row_stride, a_offsets.data(), some, block, packed + m0 * block);
      }
    });
    const PanelProduct product{packed, b + k0 * columns, b_offsets.data(), block, columns, c, k0 > 0};
    const int64_t row_step = 4 * packing_kernels().row_block, column_step = 2 * kernels.column_block;
    const int64_t row_pieces = divide_up(rows, row_step), column_pieces = divide_up(columns, column_step);
    parallel_for(row_pieces * column_pieces, [&](int64_t task) {
      const int64_t row = task % row_pieces * row_step, column = task / row_pieces * column_step;
      const int64_t row_end = std::min(rows, row + row_step), column_end = std::min(columns, column + column_step);
      kernels.panel_product(product, row, row_end, column, column_end);
      if (k0 + block == depth) finish(row, row_end, column, column_end);
    });
  }
}

void nothing_more(int64_t, int64_t, int64_t, int64_t) {}

constexpr int64_t piece_of_sum = 1 << 16;  // of a long one; the pieces are added in float64

// Calls run(begin, length, to) for the pieces of a sum of `depth` terms; result = Σ of what it leaves in `to`.
template <class Run>
void sum_in_pieces(int64_t depth, int64_t count, float* result, const Run& run) {
  if (depth <= longest_sum) return run(0, depth, result);
  std::vector<double> sums(count);
  for (int64_t begin = 0; begin < depth; begin += piece_of_sum) {
    run(begin, std::min(piece_of_sum, depth - begin), result);
    for (int64_t i = 0; i < count; ++i) sums[i] += result[i];
  }
  for (int64_t i = 0; i < count; ++i) result[i] = static_cast<float>(sums[i]);
}

void backward_data(const Linear& p, const float* dy, const float* weight, float* dx) {
  if (linear_backward_data_by_bf16(p, dy, weight, dx)) return;
  if (p.N == 1) {
    return parallel_ranges(p.in, 1024, [&](int64_t begin, int64_t end) {
      linear_kernels().row_product(dy, weight, p.out, p.in, dx, begin, end);
    });
  }
  multiply(dy, p.out, 1, weight, p.N, p.out, p.in, dx, nothing_more);
}

void backward_weight(const Linear& p, const float* dy, const float* x, float* dweight) {
  if (linear_backward_weight_by_bf16(p, dy, x, dweight)) return;
  multiply(dy, 1, p.out, x, p.out, p.N, p.in, dweight, nothing_more);
}

// The first `count` rows of y.
void forward_by_dots(const RowDots& dots, int64_t count) {
  const LinearKernels& kernels = linear_kernels();
  const int64_t row_step = 4 * kernels.dot_row_block, column_step = 16;
  const int64_t row_pieces = divide_up(count, row_step), column_pieces = divide_up(dots.out, column_step);
  parallel_for(row_pieces * column_pieces, [&](int64_t task) {
    const int64_t row = task % row_pieces * row_step, column = task / row_pieces * column_step;
    kernels.row_dots(dots, row, std::min(count, row + row_step), column, std::min(dots.out, column + column_step));
  });
}

// Copies rows of x, some at a time, so that they do not collide with those of the weights.
void forward_with_rows_apart(const Linear& p, const RowDots& together) {
  constexpr int64_t at_once = 1 << 21;  // floats of copies: so many rows that reading the weights again does not count
  static thread_local Scratch scratch;
  RowDots dots = together;
  dots.x_row = p.in + 16;
  const int64_t step = std::clamp<int64_t>(at_once / dots.x_row, 24, std::max<int64_t>(p.N, 24));
  float* apart = scratch.floats(step * dots.x_row);
  dots.x = apart;
  for (int64_t first = 0; first < p.N; first += step, dots.y += step * p.out) {
    const int64_t rows = std::min(step, p.N - first);
    parallel_ranges(rows, 16, [&](int64_t begin, int64_t end) {
      for (int64_t n = begin; n < end; ++n) {
        std::copy_n(together.x + (first + n) * p.in, p.in, apart + n * dots.x_row);
      }
    });
    forward_by_dots(dots, rows);
  }
}

}  // namespace

void linear_forward(const Linear& p, const float* x, const float* weight, const float* bias, float* y) {
  // Dot products go on in as many sums as a vector has lanes.
  const bool is_long = p.in > longest_sum;
  if (!is_long && linear_forward_by_bf16(p, x, weight, bias, y)) return;
  const LinearKernels& kernels = linear_kernels();
  if (!is_long && transposes_weights(p)) {
    static thread_local Scratch scratch;
    float* transposed = scratch.floats(p.in * p.out);
    parallel_ranges(p.in, 64, [&](int64_t begin, int64_t end) {
      packing_kernels().transpose(weight + begin, p.in, p.out, end - begin, transposed + begin * p.out, p.out);
    });
    const RowFinish finish{y, bias, p.out, p.activation};
    return multiply(x, p.in, 1, transposed, p.N, p.in, p.out, y,
                    [&](int64_t row, int64_t row_end, int64_t column, int64_t column_end) {
                      kernels.finish_rows(finish, row, row_end, column, column_end);
                    });
  }
  const RowDots dots{
      .x = x,
      .weight = weight,
      .bias = bias,
      .y = y,
      .in = p.in,
      .out = p.out,
      .x_row = p.in,
      .activation = p.activation,
  };
  rows_collide(p) ? forward_with_rows_apart(p, dots) : forward_by_dots(dots, p.N);
}

void linear_backward_data(const Linear& p, const float* dy, const float* weight, float* dx) {
  std::vector<float> columns;
  sum_in_pieces(p.out, p.N * p.in, dx, [&](int64_t begin, int64_t some, float* to) {
    Linear piece = p;
    piece.out = some;
    const float* from = dy + begin;
    if (p.N > 1 && some < p.out) {
      columns.resize(p.N * some);
      for (int64_t n = 0; n < p.N; ++n) std::copy_n(dy + n * p.out + begin, some, columns.data() + n * some);
      from = columns.data();
    }
    backward_data(piece, from, weight + begin * p.in, to);
  });
}

void linear_backward_weight(const Linear& p, const float* dy, const float* x, float* dweight) {
  sum_in_pieces(p.N, p.out * p.in, dweight, [&](int64_t begin, int64_t some, float* to) {
    Linear piece = p;
    piece.N = some;
    backward_weight(piece, dy + begin * p.out, x + begin * p.in, to);
  });
}

std::string linear_choice(const std::string& op, const Linear& p) {
  const bool is_forward = op == "linear", is_data = op == "linear_backward_data";
  const LinearProduct which = is_forward ? LinearProduct::forward
                              : is_data  ? LinearProduct::backward_data
                                         : LinearProduct::backward_weight;
  const LinearCosts costs = linear_costs(which, p);
  const bool by_bf16 = (!is_forward || p.in <= longest_sum) && takes_bf16(costs);
  const char* reason = by_bf16       ? "products of bfloat16 numbers, where all are finite and no sum leaves float32"
                       : !is_forward ? "the columns of the result are the vector"
                       : transposes_weights(p)
                           ? "the outputs are the vector, of transposed weights, as there are many rows"
                           : "the inputs are the vector";
  const auto name = [](bool bf16) { return bf16 ? "bf16" : "float32"; };
  const auto cost = [&](bool bf16) { return (bf16 ? costs.bf16 : costs.float32) / 1e6; };
  const std::string text = message(name(by_bf16), ": ", reason);
  if (std::isinf(costs.bf16)) return text;
  return message(text, "; in millions of multiply-adds ", name(by_bf16), " cost ", cost(by_bf16), ", ", name(!by_bf16),
                 " ", cost(!by_bf16));
}

void linear_backward_bias(const Linear& p, const float* dy, float* dbias) {
  parallel_ranges(p.out, 64, [&](int64_t begin, int64_t end) {
    linear_kernels().column_sums(dy + begin, p.N, p.out, end - begin, dbias + begin);
  });
}

}  // namespace dip::cpu
