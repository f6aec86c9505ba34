// The register tile of weight gradients whose vector runs along the filters; Winograd's is the same.
#pragma once

#include <utility>

#include "cpu/gemm/lane_tiles.h"

namespace dip::cpu::DIP_ISA {
namespace {

// Adds the products of a few images to the sums of V panels and Q taps, which lie in memory in between: sums of sums
// have smaller errors than one long sum.
template <int V, int Q>
void lane_gradient_tile(const LaneOperands& images, std::int64_t count, std::int64_t left_image,
                        std::int64_t right_image, float* sums) {
  F sum[V][1][Q];
#pragma GCC unroll 2
  for (int v = 0; v < V; ++v) {
#pragma GCC unroll 14
    for (int q = 0; q < Q; ++q) sum[v][0][q] = F{};
  }
  LaneOperands image = images;
  for (std::int64_t i = 0; i < count; ++i) {
    lane_tile<V, 1, Q, 0>(image, sum);
    image.panel += left_image;
    image.source += right_image;
  }
#pragma GCC unroll 2
  for (int v = 0; v < V; ++v) {
#pragma GCC unroll 14
    for (int q = 0; q < Q; ++q) {
      float* total = sums + (q * V + v) * W;
      store(total, load(total) + sum[v][0][q]);
    }
  }
}

using LaneGradientTile = void (*)(const LaneOperands&, std::int64_t, std::int64_t, std::int64_t, float*);

template <int V, int... Q>
LaneGradientTile lane_gradient_tile_of_width(std::int64_t width, std::integer_sequence<int, Q...>) {
  static constexpr LaneGradientTile tiles[] = {lane_gradient_tile<V, Q + 1>...};
  return tiles[width - 1];
}

}  // namespace
}  // namespace dip::cpu::DIP_ISA
