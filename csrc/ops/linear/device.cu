// Linear layers on the GPU: three matrix products without a transposed copy.
#include "core/check.h"
#include "cuda/activation.h"
#include "cuda/copy_kernels.h"
#include "cuda/gemm/gather.h"
#include "cuda/gemm/packed/convolution.h"
#include "cuda/long_sum.h"
#include "cuda/sum.h"
#include "ops/linear/linear.h"
#include "ops/linear/small_product.h"

namespace dip::cuda {
namespace {

// result (rows, columns) = A·B + bias, where A[i, d] = a[i·a_row + d·a_depth] and B[d, j] = b[j·b_column + d·b_depth].
template <bool along_rows, bool along_depth>
struct Product {
  static constexpr bool a_along_rows = along_rows, b_along_depth = along_depth, has_outside = false;
  int rows, columns, depth;
  const float* a;
  int a_row, a_depth;
  const float* b;
  int b_column, b_depth;
  float* result;  // of each split, one after the other
  const float* bias = nullptr;
  ActivationSpec activation{};
  int height = 1, width = 1;  // no element lies outside

  __device__ void begin(const AlikeBatches&, int, int split) { result += split * rows * columns; }
  __device__ DepthAt depth_at(int d) const { return {d * a_depth, d * b_depth, 0, 0}; }
  __device__ ColumnAt column_at(int j) const { return {j * b_column, j, 0, 0}; }
  __device__ float finish(int, int j, float sum) const {
    return activate_one_of_many(bias ? sum + bias[j] : sum, activation);
  }
  __device__ float* place(int i, int j) const { return result + i * columns + j; }
};

template <class P>
void multiply(P problem, bool may_split) {
  const GemmPlan plan = plan_gemm(
      {
          .rows = problem.rows,
          .columns = problem.columns,
          .depth = problem.depth,
          .batches = 1,
          .may_split = may_split,
          .kind = TileKind::warps,
          .products = 0,
      },
      multiprocessors());
  sum_splits(plan, std::int64_t{problem.rows} * problem.columns, problem.result, [&](float* to) {
    problem.result = to;
    gather_gemm(problem, AlikeBatches{1}, plan);
  });
}

// For arrays that 32-bit offsets do not reach: one result a thread.
__global__ void direct_kernel(std::int64_t rows, std::int64_t columns, std::int64_t depth, const float* a,
                              std::int64_t a_row, std::int64_t a_depth, const float* b, std::int64_t b_column,
                              std::int64_t b_depth, const float* bias, ActivationSpec activation, float* result) {
  for (std::int64_t at = first_element(); at < rows * columns; at += element_step()) {
    const std::int64_t i = at / columns, j = at % columns;
    LongSum sum;
    for (std::int64_t d = 0; d < depth; ++d) sum.add_product(a[i * a_row + d * a_depth], b[j * b_column + d * b_depth]);
    result[at] = activate(sum.total() + (bias ? bias[j] : 0.0f), activation.kind, activation.alpha);
  }
}

template <bool along_rows, bool along_depth>
void product(std::int64_t rows, std::int64_t columns, std::int64_t depth, const float* a, std::int64_t a_row,
             std::int64_t a_depth, const float* b, std::int64_t b_column, std::int64_t b_depth, const float* bias,
             ActivationSpec activation, bool may_split, float* result) {
  if (!offsets_reach(rows, columns, depth)) {
    launch_elements(direct_kernel, rows * columns, rows, columns, depth, a, a_row, a_depth, b, b_column, b_depth, bias,
                    activation, result);
    return;
  }
  multiply(Product<along_rows, along_depth>{int(rows), int(columns), int(depth), a, int(a_row), int(a_depth), b,
                                            int(b_column), int(b_depth), result, bias, activation},
           may_split);
}

// Images of one pixel with `in` channels.
Conv2d as_convolution(const Linear& p) {
  constexpr Axis pixel{1, 1, 1, 0, 0, 1, 1};
  return {p.N, p.in, p.out, 1, {pixel, pixel}, p.activation, p.precision};
}

}  // namespace

void linear_forward(const Linear& p, Reals x, Reals weight, Reals bias, RealResults y) {
  if (p.N * p.out == 0) return;
  const Conv2d same = as_convolution(p);
  const bool is_small = multiply_small({
      .layout = Layout::forward,
      .rows = p.N,
      .columns = p.out,
      .depth = p.in,
      .a = x,
      .a_row = p.in,
      .a_depth = 1,
      .b = weight,
      .b_column = p.in,
      .b_depth = 1,
      .bias = bias,
      .activation = p.activation,
      .result = y,
  });
  if (is_small) return;
  if (uses_packed(same, x.dtype)) return conv2d_forward_packed(same, x, weight, bias, y);
  const Widened wide_x(x, p.N * p.in), wide_weight(weight, p.out * p.in), wide_bias(bias, p.out);
  in_float32(y, p.N * p.out, [&](float* result) {
    product<false, true>(p.N, p.out, p.in, wide_x, p.in, 1, wide_weight, p.in, 1, wide_bias, p.activation, false,
                         result);
  });
}

void linear_backward_data(const Linear& p, Reals dy, Reals weight, RealResults dx) {
  if (p.N * p.in == 0) return;
  const Conv2d same = as_convolution(p);
  const Reals none = static_cast<const float*>(nullptr);
  const bool is_small = multiply_small({
      .layout = Layout::backward_data,
      .rows = p.N,
      .columns = p.in,
      .depth = p.out,
      .a = dy,
      .a_row = p.out,
      .a_depth = 1,
      .b = weight,
      .b_column = 1,
      .b_depth = p.in,
      .bias = none,
      .activation = {},
      .result = dx,
  });
  if (is_small) return;
  if (uses_packed(same, dy.dtype)) return conv2d_backward_data_packed(same, dy, weight, dx);
  const Widened wide_dy(dy, p.N * p.out), wide_weight(weight, p.out * p.in);
  in_float32(dx, p.N * p.in, [&](float* result) {
    product<false, false>(p.N, p.in, p.out, wide_dy, p.out, 1, wide_weight, 1, p.in, nullptr, {}, true, result);
  });
}

void linear_backward_weight(const Linear& p, Reals dy, Reals x, RealResults dweight) {
  const Beside beside;
  if (p.in * p.out == 0) return;
  const Conv2d same = as_convolution(p);
  const Reals none = static_cast<const float*>(nullptr);
  const bool is_small = multiply_small({
      .layout = Layout::backward_weight,
      .rows = p.out,
      .columns = p.in,
      .depth = p.N,
      .a = dy,
      .a_row = 1,
      .a_depth = p.out,
      .b = x,
      .b_column = 1,
      .b_depth = p.in,
      .bias = none,
      .activation = {},
      .result = dweight,
  });
  if (is_small) return;
  if (uses_packed(same, x.dtype)) return conv2d_backward_weight_packed(same, dy, x, dweight);
  const Widened wide_dy(dy, p.N * p.out), wide_x(x, p.N * p.in);
  in_float32(dweight, p.out * p.in, [&](float* result) {
    product<true, false>(p.out, p.in, p.N, wide_dy, 1, p.out, wide_x, 1, p.in, nullptr, {}, true, result);
  });
}

std::string linear_choice(const std::string& op, const Linear& p) {
  const bool is_forward = op == "linear", is_data = op == "linear_backward_data";
  const Layout layout = is_forward ? Layout::forward : is_data ? Layout::backward_data : Layout::backward_weight;
  const std::int64_t rows = layout == Layout::backward_weight ? p.out : p.N;
  const std::int64_t columns = is_forward ? p.out : p.in, depth = is_forward ? p.in : is_data ? p.out : p.N;
  if (small_product_serves(layout, rows, columns, depth)) {
    return "small: too few results for the tiles of large products, so the depth is shared out";
  }
  if (uses_packed(as_convolution(p), DType::float32)) {
    return message("packed: as a convolution of ", p.N, " images of one pixel on tensor cores");
  }
  if (!offsets_reach(rows, columns, depth)) return "direct: 32-bit offsets do not reach all elements";
  return "gathered: one product of float32, read where it lies, is as fast as several of packed numbers";
}

void set_linear_way(const std::string& name) {
  check(name == "auto", "set_linear_way: on a GPU ways are chosen by set_gemm_tile and set_float32_products, got \"",
        name, "\"");
}

void linear_backward_bias(const Linear& p, Reals dy, RealResults dbias) {
  const Beside beside;
  sum_channels(p.N, p.out, 1, dy, dbias);
}

}  // namespace dip::cuda
