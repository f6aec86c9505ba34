// Convolution 3 × 3 by Winograd's minimal filtering F(4 × 4, 3 × 3): 36 products for 16 results instead of 144. Part of
// kernels.cpp.
//
// Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016: Y = Aᵀ[(G g Gᵀ) ⊙ (Bᵀ d B)]A for a
// tile of 6 × 6 inputs d and a kernel g, summed over the channels before Aᵀ and A. The channels, and then the filters,
// are the vector.
#pragma once

#include "core/lane_tiles.h"
#include "ops/conv/kernels.h"

namespace dip::cpu::DIP_ISA {
namespace {

constexpr int winograd_points = 36;

// G g
inline void transform_taps(const F (&g)[3], F (&u)[6]) {
  const F ends = (g[0] + g[2]) * (-1.0f / 6), middle = g[1] * (1.0f / 6);
  const F outer = g[0] * (1.0f / 24) + g[2] * (1.0f / 6), half = g[1] * (1.0f / 12);
  u[0] = g[0] * 0.25f;
  u[1] = ends - middle;
  u[2] = ends + middle;
  u[3] = outer + half;
  u[4] = outer - half;
  u[5] = g[2];
}

// Bᵀ d
inline void transform_inputs(const F (&d)[6], F (&v)[6]) {
  const F even = d[4] - 4.0f * d[2], odd = d[3] - 4.0f * d[1];
  const F near = d[4] - d[2], twice = 2.0f * (d[3] - d[1]);
  v[0] = 4.0f * d[0] - 5.0f * d[2] + d[4];
  v[1] = even + odd;
  v[2] = even - odd;
  v[3] = near + twice;
  v[4] = near - twice;
  v[5] = 4.0f * d[1] - 5.0f * d[3] + d[5];
}

// Aᵀ m
inline void transform_sums(const F (&m)[6], F (&y)[4]) {
  const F sum = m[1] + m[2], difference = m[1] - m[2], sum2 = m[3] + m[4], difference2 = m[3] - m[4];
  y[0] = m[0] + sum + sum2;
  y[1] = difference + 2.0f * difference2;
  y[2] = sum + 4.0f * sum2;
  y[3] = difference + 8.0f * difference2 + m[5];
}

// to[point][channel][lane], points `to_point` apart, from taps[channel][9][lane].
void winograd_weights(const float* taps, std::int64_t channels, float* to, std::int64_t to_point) {
  for (std::int64_t c = 0; c < channels; ++c, taps += 9 * W, to += W) {
    F half[3][6];
    for (int s = 0; s < 3; ++s) {
      const F column[3] = {load(taps + s * W), load(taps + (3 + s) * W), load(taps + (6 + s) * W)};
      transform_taps(column, half[s]);
    }
    for (int i = 0; i < 6; ++i) {
      const F row[3] = {half[0][i], half[1][i], half[2][i]};
      F u[6];
      transform_taps(row, u);
      for (int j = 0; j < 6; ++j) store(to + (i * 6 + j) * to_point, u[j]);
    }
  }
}

void winograd_input(const WinogradInput& p) {
  for (std::int64_t t = 0; t < p.tiles; ++t) {
    const float* from = p.source + 4 * t * W;
    float* to = p.to + t * p.to_tile;
    F half[6][6];  // [column][point of the height]
#pragma GCC unroll 6
    for (int j = 0; j < 6; ++j) {
      F column[6];
#pragma GCC unroll 6
      for (int i = 0; i < 6; ++i) column[i] = load(from + i * p.line + j * W);
      transform_inputs(column, half[j]);
    }
#pragma GCC unroll 6
    for (int i = 0; i < 6; ++i) {
      const F row[6] = {half[0][i], half[1][i], half[2][i], half[3][i], half[4][i], half[5][i]};
      F v[6];
      transform_inputs(row, v);
#pragma GCC unroll 6
      for (int j = 0; j < 6; ++j) store(to + (i * 6 + j) * p.to_point, v[j]);
    }
  }
}

template <int V, int Q>
void winograd_tile(const LaneOperands& p, float* sums) {
  F sum[V][1][Q];
#pragma GCC unroll 2
  for (int v = 0; v < V; ++v) {
#pragma GCC unroll 14
    for (int q = 0; q < Q; ++q) sum[v][0][q] = F{};
  }
  lane_tile<V, 1, Q, 0>(p, sum);
#pragma GCC unroll 2
  for (int v = 0; v < V; ++v) {
#pragma GCC unroll 14
    for (int q = 0; q < Q; ++q) store(sums + (q * V + v) * W, sum[v][0][q]);
  }
}

using WinogradTile = void (*)(const LaneOperands&, float*);

template <int V, int... Q>
void winograd_sums(const WinogradProduct& p, std::integer_sequence<int, Q...>) {
  static constexpr WinogradTile tiles[] = {winograd_tile<V, Q + 1>...};
  const std::int64_t pieces = (p.tiles + lane_columns - 1) / lane_columns;
  LaneOperands operands{};
  operands.offset = p.offset;
  operands.count[0] = operands.count[1] = 1;
  operands.count[2] = p.channels;
  operands.panel_floats = p.channels * W;
  operands.position = p.position;
  for (std::int64_t point = 0; point < winograd_points; ++point) {
    operands.panel = p.weights + point * p.weights_point;
    for (std::int64_t piece = 0; piece < pieces; ++piece) {
      const std::int64_t t = piece * p.tiles / pieces, count = (piece + 1) * p.tiles / pieces - t;
      operands.source = p.source + point * p.source_point + t * p.position[1];
      tiles[count - 1](operands, p.sums + (point * p.tiles + t) * V * W);
    }
  }
}

void winograd_product(const WinogradProduct& p) {
  const auto widths = std::make_integer_sequence<int, lane_columns>();
  p.panels == 2 ? winograd_sums<2>(p, widths) : winograd_sums<1>(p, widths);
}

bool winograd_output(const WinogradOutput& p) {
  const F bias = p.bias ? load_some(p.bias, p.rows) : F{};
  F zero = {};  // unless a result is infinite or NaN
  for (std::int64_t t = 0; t < p.tiles; ++t) {
    const float* from = p.sums + t * p.sums_tile;
    F half[6][4];  // [point of the width][line]
#pragma GCC unroll 6
    for (int j = 0; j < 6; ++j) {
      F column[6];
#pragma GCC unroll 6
      for (int i = 0; i < 6; ++i) column[i] = load(from + (i * 6 + j) * p.sums_point);
      transform_sums(column, half[j]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      const F row[6] = {half[0][i], half[1][i], half[2][i], half[3][i], half[4][i], half[5][i]};
      F y[4];
      transform_sums(row, y);
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) {
        zero = fma(y[j], F{}, zero);
        store(p.lines + (i * p.tiles + t) * 4 * W + j * W,
              activate(y[j] + bias, p.activation.kind, p.activation.alpha));
      }
    }
  }
  if (any(zero != zero)) return false;
  for (std::int64_t i = 0; i < p.height; ++i) {
    transpose(p.lines + i * p.tiles * 4 * W, W, p.width, p.rows, p.out + i * p.width, p.out_plane);
  }
  return true;
}

}  // namespace
}  // namespace dip::cpu::DIP_ISA
