// The matrix product of packed numbers on tensor cores, behind convolutions and linear layers on the GPU.
//
// result[i, j] = Σ_d A[i, d]·B[d, j], summed in float32. What is multiplied are numbers of 16 bits: float16 and
// bfloat16 as they are, and float32 as a sum of two or three bfloat16 numbers, its parts, of which each has eight more
// of its bits. Or it is float32 rounded to TF32: a number of 32 bits, which counts as two of the depth. An octet, eight
// numbers side by side, is copied to shared memory by one instruction, so both operands are packed beforehand. A is a
// matrix. B is an image whose channels lie side by side, and its matrix is never built: an octet of it is found at
//
//   place + shift,   zeros where that lies outside the image,
//
// the place standing for a position of the result, the shift for a tap and eight channels. Forward, and backward to the
// data, columns are places and the depth runs over shifts; backward to the weights the depth runs over places and
// columns are shifts. So octets of an operand lie along the depth or across it; where across, matrices are transposed
// on their way from shared memory to the tensor cores, which those of TF32 cannot be.
//
// Every sum runs over d in order, in the tensor core of one warp, or of a warpgroup where Hopper's wgmma multiplies: no
// atomics, the same bits on every run.
#pragma once

#include "cuda/gemm/packed/kernel.h"
#include "cuda/gemm/packed/mapped_kernel.h"
#include "cuda/gemm/plan.h"

namespace dip::cuda {

template <class T, class Number, class Problem, class Batches>
void launch_packed_tile(const Problem& problem, const Batches& batches, const GemmPlan& plan) {
  launch(packed_gemm_kernel<Problem, Number, T, Batches>, grid_of<T>(problem, batches.count(), plan), T::threads,
         std::size_t{T::shared_bytes}, problem, batches, plan.split_depth);
}

template <class T, class Number, class Problem, class Batches>
void launch_mapped_tile(const Problem& problem, const Batches& batches, const GemmPlan& plan) {
  launch(mapped_gemm_kernel<Problem, Number, T, Batches>, grid_of<T>(problem, batches.count(), plan), T::threads,
         std::size_t{T::shared_bytes}, problem, problem.template map_a<T>(), problem.template map_b<T>(), batches,
         plan.split_depth);
}

// The tile that is taken for the one that is planned.
template <class Number, class Problem>
GemmTile tile_taken(const Problem& problem, GemmTile planned) {
  using Large = WarpTile<128, 128, Number::parts, Problem::a_across, Problem::b_across>;
  const bool by_warpgroups = planned == GemmTile::warpgroups || planned == GemmTile::warpgroup;
  if (Problem::has_few_tiles && (by_warpgroups || planned == GemmTile::mapped_wide)) {
    return problem.can_map(Number::parts)                  ? GemmTile::mapped
           : Large::shared_bytes <= shared_bytes_a_block() ? GemmTile::large
                                                           : GemmTile::small;
  }
  // Of GPUs for graphics not all have the shared memory that the largest tile takes with three parts.
  return planned == GemmTile::large && Large::shared_bytes > shared_bytes_a_block() ? GemmTile::small : planned;
}

// Computes all batches of a problem. With several splits each writes its part of the sums where problem.begin put it.
template <class Number, class Problem, class Batches>
void packed_gemm(const Problem& problem, const Batches& batches, const GemmPlan& plan) {
  constexpr bool a = Problem::a_across, b = Problem::b_across;
  constexpr int parts = Number::parts;
  if (problem.rows == 0 || problem.columns == 0 || batches.count() == 0) return;
  const auto packed = [&](auto tile) { launch_packed_tile<decltype(tile), Number>(problem, batches, plan); };
  const GemmTile tile = tile_taken<Number>(problem, plan.tile);
  if (tile == GemmTile::large) return packed(WarpTile<128, 128, parts, a, b>{});
  if (tile == GemmTile::wide) return packed(WarpTile<32, 128, parts, a, b>{});
  if (tile == GemmTile::small) return packed(WarpTile<64, 64, parts, a, b>{});
  if (tile == GemmTile::mapped) {
    return launch_mapped_tile<MappedTile<128, parts, a, b>, Number>(problem, batches, plan);
  }
  if constexpr (!Problem::has_few_tiles) {
    if (tile == GemmTile::warpgroups) return packed(WarpgroupTile<128, parts, a, b>{});
    if (tile == GemmTile::warpgroup) return packed(WarpgroupTile<64, parts, a, b>{});
    // Of more parts there are no registers for two sets of as many sums.
    if constexpr (parts == 1) launch_mapped_tile<MappedTile<256, 1, a, b>, Number>(problem, batches, plan);
  }
}

}  // namespace dip::cuda
