// What the ways to compute a matrix product take on a GPU: all constants in one place. `python -m bench costs` fits
// them to the times of `python -m bench tiles`, and prints how far what they choose is from the best.
#pragma once

#include <array>
#include <string>
#include <vector>

namespace dip::cuda {

// A block takes fixed + element · multiply-adds · (products + copies) / 10⁶ microseconds, products as PlannedProduct
// has them: copying a slice takes as long as so many products of it.
struct TileCost {
  double fixed, element, copies;
};

struct GemmCosts {
  std::array<TileCost, 3> float32;  // of the tiles of warps: 128 × 128, 32 × 128, 64 × 64
  std::array<TileCost, 7> packed;   // of all tiles, in their order

  // Whether to pack float32 at all, in cycles. Without: multiply-adds of a multiprocessor in one, what a result takes,
  // and what the depth takes at least, however small the product.
  double fma_rate, fma_result, fma_depth;
  // With: products of 16 bits in one, numbers packed in one, the launches, a result, and the depth for each product.
  double tensor_rate, pack_rate, launches, tensor_result, tensor_depth;
};

const GemmCosts& gemm_costs();

// For the fit: all numbers in their order, and what they are called.
std::vector<double> listed_gemm_costs();
std::vector<std::string> gemm_cost_names();
void set_gemm_costs(const std::vector<double>& costs);

}  // namespace dip::cuda
