// How a matrix product is cut into blocks: a function of its sizes and of the GPU's, and of nothing else.
#pragma once

#include <cstdint>

#include "core/precision.h"

namespace dip::cuda {

enum class GemmTile { large, wide, small };  // 128 × 128, 32 × 128, 64 × 64 elements of the result a block

struct GemmPlan {
  GemmTile tile;
  int splits;       // parts of the depth that separate blocks sum …
  int split_depth;  // … each of this length, the last one perhaps shorter
};

// Chooses the tile that keeps the GPU's multiprocessors busiest. Only where `may_split` the depth is cut, for results
// too small to fill the GPU with blocks.
GemmPlan plan_gemm(std::int64_t rows, std::int64_t columns, std::int64_t depth, std::int64_t batches,
                   int multiprocessors, bool may_split);

}  // namespace dip::cuda
