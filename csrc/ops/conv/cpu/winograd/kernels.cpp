// Convolution 3 × 3 by Winograd's minimal filtering F(4 × 4, 3 × 3): 36 products for 16 results instead of 144. The
// gradient of the weights is F(3 × 3, 4 × 4), with the same points: g becomes 4 × 4 of dy, and Y the 3 × 3 taps, for
// which the products of all tiles are added up first.
//
// Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016: Y = Aᵀ[(G g Gᵀ) ⊙ (Bᵀ d B)]A for a
// tile of 6 × 6 inputs d and a kernel g, summed over the channels before Aᵀ and A. The channels, and then the filters,
// are the vector.
#include "ops/conv/cpu/winograd/kernels.h"

#include "cpu/gemm/lane_tiles.h"
#include "ops/conv/cpu/lanes/gradient_tile.h"

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

// G g of F(3, 4)
inline void transform_gradients(const F (&g)[4], F (&u)[6]) {
  const F even = g[0] + g[2], odd = g[1] + g[3];
  const F even2 = g[0] + 4.0f * g[2], odd2 = 2.0f * g[1] + 8.0f * g[3];
  u[0] = g[0] * 0.25f;
  u[1] = (even + odd) * (-1.0f / 6);
  u[2] = (even - odd) * (-1.0f / 6);
  u[3] = (even2 + odd2) * (1.0f / 24);
  u[4] = (even2 - odd2) * (1.0f / 24);
  u[5] = g[3];
}

// Aᵀ m of F(3, 4)
inline void transform_tap_sums(const F (&m)[6], F (&y)[3]) {
  const F sum = m[1] + m[2], sum2 = m[3] + m[4];
  y[0] = m[0] + sum + sum2;
  y[1] = (m[1] - m[2]) + 2.0f * (m[3] - m[4]);
  y[2] = sum + 4.0f * sum2 + m[5];
}

// Both ways on N lines of N vectors, `line` apart: `transform` makes six of N.
template <int N, class Transform>
inline void transform_tile(const float* from, std::int64_t line, float* to, std::int64_t to_point,
                           const Transform& transform) {
  F half[N][6];  // [column][point of the height]
#pragma GCC unroll 6
  for (int j = 0; j < N; ++j) {
    F column[N];
#pragma GCC unroll 6
    for (int i = 0; i < N; ++i) column[i] = load(from + i * line + j * W);
    transform(column, half[j]);
  }
#pragma GCC unroll 6
  for (int i = 0; i < 6; ++i) {
    F row[N], v[6];
#pragma GCC unroll 6
    for (int j = 0; j < N; ++j) row[j] = half[j][i];
    transform(row, v);
#pragma GCC unroll 6
    for (int j = 0; j < 6; ++j) store(to + (i * 6 + j) * to_point, v[j]);
  }
}

// to[point][channel][lane], points `to_point` apart, from taps[channel][9][lane].
void winograd_weights(const float* taps, std::int64_t channels, float* to, std::int64_t to_point) {
  for (std::int64_t c = 0; c < channels; ++c) {
    transform_tile<3>(taps + c * 9 * W, 3 * W, to + c * W, to_point,
                      [](const F(&g)[3], F(&u)[6]) { transform_taps(g, u); });
  }
}

void winograd_input(const WinogradInput& p) {
  for (std::int64_t t = 0; t < p.tiles; ++t) {
    transform_tile<6>(p.source + 4 * t * W, p.line, p.to + t * p.to_tile, p.to_point,
                      [](const F(&d)[6], F(&v)[6]) { transform_inputs(d, v); });
  }
}

void winograd_gradient(const WinogradInput& p) {
  for (std::int64_t t = 0; t < p.tiles; ++t) {
    transform_tile<4>(p.source + 4 * t * W, p.line, p.to + t * p.to_tile, p.to_point,
                      [](const F(&g)[4], F(&u)[6]) { transform_gradients(g, u); });
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

// Both ways on the sums of a tile: `transform` makes N of six, `take` is given the results.
template <int N, class Transform, class Take>
inline void transform_back(const float* sums, std::int64_t point, const Transform& transform, const Take& take) {
  F half[6][N];  // [point of the width][line]
#pragma GCC unroll 6
  for (int j = 0; j < 6; ++j) {
    F column[6];
#pragma GCC unroll 6
    for (int i = 0; i < 6; ++i) column[i] = load(sums + (i * 6 + j) * point);
    transform(column, half[j]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < N; ++i) {
    const F row[6] = {half[0][i], half[1][i], half[2][i], half[3][i], half[4][i], half[5][i]};
    F y[N];
    transform(row, y);
#pragma GCC unroll 4
    for (int j = 0; j < N; ++j) take(i, j, y[j]);
  }
}

bool winograd_output(const WinogradOutput& p) {
  const F bias = p.bias ? load_some(p.bias, p.rows) : F{};
  F zero = {};  // unless a result is infinite or NaN
  for (std::int64_t t = 0; t < p.tiles; ++t) {
    transform_back<4>(
        p.sums + t * p.sums_tile, p.sums_point, [](const F(&m)[6], F(&y)[4]) { transform_sums(m, y); },
        [&](int i, int j, F y) {
          zero = fma(y, F{}, zero);
          store(p.lines + (i * p.tiles + t) * 4 * W + j * W, activate(y + bias, p.activation.kind, p.activation.alpha));
        });
  }
  if (any(zero != zero)) return false;
  for (std::int64_t i = 0; i < p.height; ++i) {
    transpose(p.lines + i * p.tiles * 4 * W, W, p.width, p.rows, p.out + i * p.width, p.out_plane);
  }
  return true;
}

// sums[point][channel][panel][lane] (+)= Σ_tiles, for one panel or two.
template <int V, int... Q>
void winograd_gradient_sums(const WinogradGradient& p, std::integer_sequence<int, Q...>) {
  static constexpr LaneGradientTile tiles[] = {lane_gradient_tile<V, Q + 1>...};
  const std::int64_t pieces = (p.channels + lane_columns - 1) / lane_columns;
  LaneOperands operands{};
  operands.panel = p.left;
  operands.panel_floats = p.left_panel;
  operands.offset = p.offset;
  operands.count[0] = operands.count[1] = 1;
  operands.count[2] = p.tiles;
  operands.position = p.position;
  if (!p.accumulate) {
    for (std::int64_t i = 0; i < p.channels * V; ++i) store(p.sums + i * W, F{});
  }
  for (std::int64_t piece = 0; piece < pieces; ++piece) {
    const std::int64_t c = piece * p.channels / pieces, count = (piece + 1) * p.channels / pieces - c;
    operands.source = p.right + c;
    tiles[count - 1](operands, 1, 0, 0, p.sums + c * V * W);
  }
}

void winograd_gradient_product(const WinogradGradient& p) {
  const auto widths = std::make_integer_sequence<int, lane_columns>();
  p.panels == 2 ? winograd_gradient_sums<2>(p, widths) : winograd_gradient_sums<1>(p, widths);
}

bool winograd_taps(const WinogradTaps& p) {
  F zero = {};
  for (std::int64_t c = 0; c < p.channels; ++c) {
    transform_back<3>(
        p.sums + c * p.sums_channel, p.sums_point, [](const F(&m)[6], F(&y)[3]) { transform_tap_sums(m, y); },
        [&](int i, int j, F y) {
          zero = fma(y, F{}, zero);
          store(p.taps + (c * 9 + i * 3 + j) * W, y);
        });
  }
  if (any(zero != zero)) return false;
  transpose(p.taps, W, p.channels * 9, p.rows, p.out, p.out_row);
  return true;
}

}  // namespace

extern const WinogradKernels winograd_kernels = {
    .weights = winograd_weights,
    .input = winograd_input,
    .product = winograd_product,
    .output = winograd_output,
    .gradient = winograd_gradient,
    .gradient_product = winograd_gradient_product,
    .taps = winograd_taps,
};

}  // namespace dip::cpu::DIP_ISA
