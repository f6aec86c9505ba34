// Convolution with the filters (backward: the channels) as the vector, compiled once for each instruction set.
#include "ops/conv/cpu/lanes/kernels.h"

#include <utility>

#include "cpu/gemm/lane_tiles.h"
#include "ops/conv/cpu/lanes/gradient_tile.h"

namespace dip::cpu::DIP_ISA {
namespace {

// A part of the grid that the same taps meet, described along and across its tiles.
struct LaneTiles {
  LaneOperands operands;                  // at the first position
  float* out;                             // of the first row and position
  std::int64_t rows;                      // of the matrix, up to V·W
  std::int64_t out_plane, along, across;  // distances in `out`
  const std::int64_t* out_position;       // of each column, where they do not lie in steps
  const float* bias;
  ActivationSpec activation;
};

// The results of one row of positions, a vector of the matrix's rows each, to where they belong. Out of line, so that
// it is compiled once and not for every tile.
[[gnu::noinline]] void finish_lanes(const LaneTiles& p, const F* sums, int count, std::int64_t first_row, bool in_steps,
                                    float* out) {
  const std::int64_t rows = lanes_at(first_row, p.rows);
  // Last, as tiles add it: so that both ways give the same bits.
  const F bias = p.bias ? load_some(p.bias + first_row, rows) : F{};
  F row[W];
#pragma GCC unroll 16
  for (int q = 0; q < W; ++q) row[q] = q < count ? sums[q] + bias : F{};
  if (p.activation.kind != Activation::none) {
    for (int q = 0; q < count; ++q) row[q] = activate(row[q], p.activation.kind, p.activation.alpha);
  }
  transpose_square(row);
#pragma GCC unroll 16
  for (int lane = 0; lane < W; ++lane) {
    if (lane >= rows) break;
    float* to = out + lane * p.out_plane;
    if (in_steps && p.along == 1) {
      store(to, row[lane], count);
    } else if (in_steps && p.along == 2) {
      store_even(to, row[lane], count);
    } else {
      for (int q = 0; q < count; ++q) to[in_steps ? q * p.along : p.out_position[q]] = row[lane][q];
    }
  }
}

// Fetches the lines that the results of a tile go to, once its sums are done: sooner, the operands would displace them.
template <int R, int Q, int Step>
inline void fetch_results(const LaneTiles& p, const float* out) {
  for (int r = 0; r < R; ++r) {
    for (std::int64_t lane = 0; lane < p.rows; ++lane) {
      const float* line = out + r * p.across + lane * p.out_plane;
      __builtin_prefetch(line, 1);
      if (Q > 1 && Step > 0) __builtin_prefetch(line + (Q - 1) * p.along, 1);
    }
  }
}

// The tile R × Q at a position.
template <int V, int R, int Q, int Step>
void lane_tile_at(const LaneTiles& p, std::int64_t source, std::int64_t to) {
  F sum[V][R][Q];
#pragma GCC unroll 2
  for (int v = 0; v < V; ++v) {
#pragma GCC unroll 2
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 14
      for (int q = 0; q < Q; ++q) sum[v][r][q] = F{};
    }
  }
  LaneOperands operands = p.operands;
  operands.source += source;
  lane_tile<V, R, Q, Step>(operands, sum);
  fetch_results<R, Q, Step>(p, p.out + to);
  // A copy: the sums themselves must not have an address, or they would pass through memory at every step.
  F finished[V][R][Q];
#pragma GCC unroll 2
  for (int v = 0; v < V; ++v) {
#pragma GCC unroll 2
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 14
      for (int q = 0; q < Q; ++q) finished[v][r][q] = sum[v][r][q];
    }
  }
  for (int v = 0; v < V; ++v) {
    for (int r = 0; r < R; ++r) {
      finish_lanes(p, finished[v][r], Q, v * W, Step > 0, p.out + to + v * W * p.out_plane + r * p.across);
    }
  }
}

using LaneTile = void (*)(const LaneTiles&, std::int64_t, std::int64_t);

template <int V, int R, int Step>
LaneTile lane_tile_of_width(std::int64_t width) {
  constexpr int most = lane_sums / (V * R) < lane_columns ? lane_sums / (V * R) : lane_columns;
#define DIP_WIDTH(Q) \
  case Q: return lane_tile_at<V, R, (Q < most ? Q : most), Step>;
  switch (width) {
    DIP_WIDTH(1)
    DIP_WIDTH(2)
    DIP_WIDTH(3)
    DIP_WIDTH(4)
    DIP_WIDTH(5)
    DIP_WIDTH(6)
    DIP_WIDTH(7)
    DIP_WIDTH(8)
    DIP_WIDTH(9)
    DIP_WIDTH(10)
    DIP_WIDTH(11)
    DIP_WIDTH(12)
    DIP_WIDTH(13)
    default: return lane_tile_at<V, R, most, Step>;
  }
#undef DIP_WIDTH
}

// One of the directions of a part of the grid: how many positions, and how far apart they lie.
struct Direction {
  std::int64_t count, source, out;
};

// Covers the positions with tiles: along one direction in nearly equal pieces, across it one by one, or by two where
// that fits into the registers.
template <int V, int Step>
void cover(const LaneTiles& p, const Direction& along, const Direction& across, const Direction& third) {
  const std::int64_t pieces = (along.count + lane_columns - 1) / lane_columns;
  const std::int64_t longest = (along.count + pieces - 1) / pieces;
  const bool pairs = longest * 2 * V <= lane_sums;
  for (std::int64_t k = 0; k < third.count; ++k) {
    for (std::int64_t i = 0; i < across.count;) {
      const bool two = pairs && i + 2 <= across.count;
      for (std::int64_t piece = 0; piece < pieces; ++piece) {
        const std::int64_t j = piece * along.count / pieces, columns = (piece + 1) * along.count / pieces - j;
        const LaneTile tile = two ? lane_tile_of_width<V, 2, Step>(columns) : lane_tile_of_width<V, 1, Step>(columns);
        tile(p, k * third.source + i * across.source + j * along.source,
             k * third.out + i * across.out + j * along.out);
      }
      i += two ? 2 : 1;
    }
  }
}

// The same with tiles of any positions, one after the other.
template <int V>
void cover_list(LaneTiles p, const Direction& along, const Direction& across, const Direction& third) {
  const std::int64_t count = along.count * across.count * third.count;
  const std::int64_t pieces = (count + lane_columns - 1) / lane_columns;
  std::int64_t source[lane_columns], out[lane_columns];
  p.operands.position = source;
  p.out_position = out;
  for (std::int64_t piece = 0; piece < pieces; ++piece) {
    const std::int64_t begin = piece * count / pieces, columns = (piece + 1) * count / pieces - begin;
    for (std::int64_t q = 0; q < columns; ++q) {
      const std::int64_t j = (begin + q) % along.count, i = (begin + q) / along.count % across.count;
      const std::int64_t k = (begin + q) / along.count / across.count;
      source[q] = k * third.source + i * across.source + j * along.source;
      out[q] = k * third.out + i * across.out + j * along.out;
    }
    lane_tile_of_width<V, 1, 0>(columns)(p, 0, 0);
  }
}

template <int V>
void cover_fast(const LaneTiles& p, const Direction& along, const Direction& across, const Direction& third) {
  const std::int64_t pieces = (along.count + lane_columns - 1) / lane_columns;
  const std::int64_t longest = (along.count + pieces - 1) / pieces;
  const bool pairs = longest * 2 * V <= lane_sums && across.count > 1;
  // Short rows leave a tile too few sums to keep the multipliers busy.
  if (longest * (pairs ? 2 : 1) * 2 <= lane_columns) return cover_list<V>(p, along, across, third);
  switch (along.source) {
    case 1: return cover<V, 1>(p, along, across, third);
    case 2: return cover<V, 2>(p, along, across, third);
    case 4: return cover<V, 4>(p, along, across, third);
    default: return cover_list<V>(p, along, across, third);
  }
}

// The first position after i with another range of taps.
std::int64_t end_of_range(const TapRange* taps, std::int64_t i, std::int64_t end) {
  std::int64_t next = i + 1;
  while (next < end && taps[next].first == taps[i].first && taps[next].last == taps[i].last) ++next;
  return next;
}

// Grid [i0, i1) × [j0, j1), all of which meet the same taps.
void lane_rectangle(const LaneProduct& p, std::int64_t m, std::int64_t rows, std::int64_t i0, std::int64_t i1,
                    std::int64_t j0, std::int64_t j1) {
  const TapRange r = p.row_taps[i0], s = p.column_taps[j0];
  const std::int64_t taps = p.tap_rows * p.tap_columns, first = r.first * p.tap_columns + s.first;
  LaneTiles tiles{};
  LaneOperands& operands = tiles.operands;
  operands.panel = p.packed + (m / W * p.panel + first * W);
  operands.panel_floats = p.panel;
  operands.offset = p.offset + first;
  operands.source = p.source + i0 * p.source_row + j0 * p.source_column;
  operands.count[0] = p.channels;
  operands.count[1] = r.last - r.first;
  operands.count[2] = s.last - s.first;
  operands.step[0] = taps;
  operands.step[1] = p.tap_columns;
  // Loops without a gap between their steps are one.
  if (operands.count[2] == p.tap_columns) {
    operands.count[2] *= operands.count[1];
    operands.count[1] = 1;
    if (operands.count[2] == taps) {
      operands.count[2] *= p.channels;
      operands.count[0] = 1;
    }
  }
  tiles.rows = rows;
  tiles.out = p.out + m * p.out_plane + i0 * p.out_row + j0 * p.out_column;
  tiles.out_plane = p.out_plane;
  tiles.bias = p.bias ? p.bias + m : nullptr;
  tiles.activation = p.activation;
  const Direction along{j1 - j0, p.source_column, p.out_column};
  Direction across{i1 - i0, p.source_row, p.out_row}, third{p.images, p.source_image, p.out_image};
  if (across.count % 2 != 0) std::swap(across, third);  // pairs of images, where rows leave one over
  operands.row = across.source;
  operands.ahead = p.source_row;
  tiles.along = along.out;
  tiles.across = across.out;
  if (rows > W) {
    cover_fast<2>(tiles, along, across, third);
  } else {
    cover_fast<1>(tiles, along, across, third);
  }
}

void lane_product(const LaneProduct& p, std::int64_t row_begin, std::int64_t row_end, std::int64_t grid_begin,
                  std::int64_t grid_end) {
  for (std::int64_t m = row_begin; m < row_end; m += 2 * W) {
    const std::int64_t rows = row_end - m < 2 * W ? row_end - m : 2 * W;
    for (std::int64_t i = grid_begin, i_end; i < grid_end; i = i_end) {
      i_end = end_of_range(p.row_taps, i, grid_end);
      for (std::int64_t j = 0, j_end; j < p.grid_w; j = j_end) {
        j_end = end_of_range(p.column_taps, j, p.grid_w);
        lane_rectangle(p, m, rows, i, i_end, j, j_end);
      }
    }
  }
}

template <int V>
void lane_gradient_panels(const LaneGradient& p, std::int64_t m, std::int64_t rows, std::int64_t tap_begin,
                          std::int64_t tap_end, float* sums) {
  const std::int64_t taps = tap_end - tap_begin, pieces = (taps + lane_columns - 1) / lane_columns;
  float* out = p.out + m * p.depth + tap_begin;
  for (std::int64_t i = 0; i < taps * V * W; ++i) sums[i] = 0.0f;
  if (p.accumulate) transpose(out, p.depth, rows, taps, sums, V * W);
  // Blocks of a part of an image or of several images, long enough for what it takes to add the sums not to count.
  // Their part of `left` serves all taps.
  const std::int64_t parts = (p.positions + depth_block - 1) / depth_block, left_image = p.positions * W;
  const std::int64_t step = parts == 1 ? depth_block / p.positions : 1;
  LaneOperands operands{};
  operands.panel_floats = p.left_panel;
  operands.count[0] = operands.count[1] = 1;
  for (std::int64_t image = 0; image < p.images; image += step) {
    const std::int64_t images = p.images - image < step ? p.images - image : step;
    for (std::int64_t part = 0; part < parts; ++part) {
      const std::int64_t q = part * p.positions / parts;
      operands.panel = p.left + m / W * p.left_panel + image * left_image + q * W;
      operands.source = p.right + image * p.right_image;
      operands.offset = p.offset + q;
      operands.count[2] = (part + 1) * p.positions / parts - q;
      for (std::int64_t piece = 0; piece < pieces; ++piece) {
        const std::int64_t tap = piece * taps / pieces, width = (piece + 1) * taps / pieces - tap;
        operands.position = p.tap + tap_begin + tap;
        lane_gradient_tile_of_width<V>(width, std::make_integer_sequence<int, lane_columns>())(
            operands, images, left_image, p.right_image, sums + tap * V * W);
      }
    }
  }
  transpose(sums, V * W, taps, rows, out, p.depth);
}

void lane_gradient(const LaneGradient& p, std::int64_t row_begin, std::int64_t row_end, std::int64_t tap_begin,
                   std::int64_t tap_end, float* sums) {
  if (row_end - row_begin > W) {
    lane_gradient_panels<2>(p, row_begin, row_end - row_begin, tap_begin, tap_end, sums);
  } else {
    lane_gradient_panels<1>(p, row_begin, row_end - row_begin, tap_begin, tap_end, sums);
  }
}

}  // namespace

extern const LaneKernels lane_kernels = {
    .product = lane_product,
    .gradient = lane_gradient,
};

}  // namespace dip::cpu::DIP_ISA
