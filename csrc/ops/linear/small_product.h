// Products of few results on the GPU, and those of a few rows of the depth: the small layers, and the small batches.
#pragma once

#include "core/reals.h"
#include "ops/linear/linear.h"

namespace dip::cuda {

// In which direction the numbers of A and of B lie side by side.
enum class Layout {
  forward,          // both along the depth
  backward_data,    // A along the depth, B along the columns
  backward_weight,  // along rows and columns
};

// result (rows, columns) = activation(A·B + bias), where A[i, d] = a[i·a_row + d·a_depth] and B[d, j] = b[j·b_column +
// d·b_depth]; all of one dtype.
struct StridedProduct {
  Layout layout;
  std::int64_t rows, columns, depth;
  Reals a;
  std::int64_t a_row, a_depth;
  Reals b;
  std::int64_t b_column, b_depth;
  Reals bias;
  ActivationSpec activation;
  RealResults result;
};

// Whether 32-bit offsets reach all of a product's numbers.
inline bool offsets_reach(std::int64_t rows, std::int64_t columns, std::int64_t depth) {
  constexpr std::int64_t limit = std::int64_t{1} << 30;
  return rows * depth < limit && columns * depth < limit && rows * columns < limit;
}

// Whether these ways are for products of such sizes, of aligned numbers of float32.
bool small_product_serves(Layout layout, std::int64_t rows, std::int64_t columns, std::int64_t depth);

// False where there are too many results for these ways; then nothing is done.
bool multiply_small(const StridedProduct& product);

}  // namespace dip::cuda
