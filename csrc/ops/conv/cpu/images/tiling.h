// How sums with the images as the vector are cut into register tiles.
#pragma once

#include <algorithm>
#include <limits>

#include "ops/conv/cpu/images/images.h"

namespace dip::cpu {

// Vectors that a tile goes over again and again, in the first-level cache; and sums, which it comes back to a few
// times, in the second.
constexpr std::int64_t held_at_most = 192, sums_at_most = 1024;

struct Tiling : ImageTiling {
  double cost;  // in multiply-adds of a vector
};

// A tile's step takes as long as its multiply-adds, or its loads, or the time a sum needs before it can be added to
// again.
inline std::int64_t step_cost(std::int64_t rows, std::int64_t columns) {
  return std::max({rows * columns, rows + columns, std::int64_t{8}});
}

// The cheapest way to cut rows × columns of sums into tiles: `cost_of(rows, pieces)` is that of a piece of the rows.
template <class Cost>
Tiling best_tiling(std::int64_t rows, std::int64_t columns, const Cost& cost_of) {
  const ImageKernels& kernels = image_kernels();
  const std::int64_t fewest_parts = divide_up(rows, kernels.most_rows);
  Tiling best{{0, 0}, std::numeric_limits<double>::infinity()};
  for (std::int64_t parts = fewest_parts; parts <= std::min(2 * fewest_parts, rows); ++parts) {
    const std::int64_t r = divide_up(rows, parts), fewest = divide_up(columns, kernels.columns(static_cast<int>(r)));
    for (std::int64_t pieces = fewest; pieces <= std::min(fewest + 1, columns); ++pieces) {
      const double cost = static_cast<double>(parts * cost_of(r, pieces));
      if (cost < best.cost) best = {{parts, pieces}, cost};
    }
  }
  return best;
}

}  // namespace dip::cpu
