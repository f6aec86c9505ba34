// How a matrix product is cut into blocks: a function of its sizes and of the GPU's, and of nothing else.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/precision.h"

namespace dip::cuda {

// 128 × 128, 32 × 128, 64 × 64 elements of the result a block; of warpgroups, 64 × 128 elements each, two or one; of
// two warpgroups whose operands the copy unit brings, 64 × 128 or 64 × 256 each.
enum class GemmTile { large, wide, small, warpgroups, warpgroup, mapped, mapped_wide };

// What a product can be computed by; each kind has the tiles of those before it. Wide ones are for numbers of one part.
enum class TileKind { warps, warpgroups, mapped, mapped_wide };
TileKind tile_kind(const std::string& name);
const char* name_of(TileKind kind);

// Their names, for set_gemm_tile.
std::string name_of(GemmTile tile);

struct GemmPlan {
  GemmTile tile;
  int splits;       // parts of the depth that separate blocks sum …
  int split_depth;  // … each of this length, the last one perhaps shorter
};

// What a product is to its plan. `products`: so many of numbers of 16 bits stand for one; 0 for float32 arithmetic.
struct PlannedProduct {
  std::int64_t rows, columns, depth, batches;
  bool may_split;
  TileKind kind;
  int products;
};

// Chooses the tile that keeps the GPU's multiprocessors busiest. Only where `may_split` the depth is cut, for results
// too small to fill the GPU with blocks. A choice made by set_gemm_tile overrules it where that tile can be taken.
GemmPlan plan_gemm(const PlannedProduct& product, int multiprocessors);

// The products planned since the last call, for measurements of the costs; the first call begins to keep them.
std::vector<PlannedProduct> take_planned_products();

// Of a product of strided matrices with so few results that blocks of 16 × 32 of them, whose warps share the depth
// (ops/linear/small_product.cu), are faster than tiles; splits is 0 where they are not, where these are more than
// `most_blocks` for each multiprocessor.
GemmPlan plan_small_product(std::int64_t rows, std::int64_t columns, std::int64_t depth, int multiprocessors,
                            int most_blocks);

// The name of a tile, "16x32" of small products, or "auto": tests and measurements reach every one by it.
void set_gemm_tile(const std::string& name);

// So many results, each a sum of `depth` multiply-adds, of so many numbers, with so many products of 16 bits for one.
struct Packing {
  std::int64_t results, depth, numbers;
  int products;
};

// Whether float32 is multiplied faster on tensor cores, for which the operands have to be packed first. A choice made
// by set_float32_products or DIPKERNELS_GPU_FLOAT32 overrules it.
bool packing_pays(const Packing& packing, int multiprocessors);
std::vector<Packing> take_packings();  // as take_planned_products

// Whether a product may go without tiles: unless a tile, or tensor cores, were asked for.
bool may_avoid_tiles();

// "auto", "fma" or "tensor".
void set_float32_products(const std::string& name);

// Whether warpgroups may multiply, where the GPU has them: unless set_warpgroups or DIPKERNELS_GPU_WARPGROUPS=off says
// no.
bool may_use_warpgroups();
void set_warpgroups(bool on);

}  // namespace dip::cuda
