// Convolution of groups of few channels, a row of results at a time, compiled once for each instruction set.
#include "ops/conv/cpu/rows/kernels.h"

#include "cpu/gemm/tiles.h"

namespace dip::cpu::DIP_ISA {
namespace {

// V vectors of results, `step` apart: neighbours in a row, or one below the other.
template <int V>
inline void row_tile(const ShiftedRow& p, const float* source, std::int64_t step, F (&sum)[V]) {
#pragma GCC unroll 4
  for (int v = 0; v < V; ++v) sum[v] = F{};
  for (std::int64_t k = 0; k < p.depth; ++k) {
    const F weight = broadcast(p.weight[k]);
    const float* at = source + p.offset[k];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) sum[v] = fma(load(at + v * step), weight, sum[v]);
  }
}

inline void store_row(const ShiftedRow& p, F sum, float* to, std::int64_t count) {
  if (p.out_column == 1) {
    store_some(to, sum, count);
  } else {
    for (std::int64_t j = 0; j < count; ++j) to[j * p.out_column] = sum[j];
  }
}

// Vectors reach beyond the row, and the last one beyond the plane: scratch memory has room for that.
void shifted_row(const ShiftedRow& p) {
  constexpr int V = 4;
  F sum[V];
  std::int64_t i = 0;
  // Short rows: four of them at a time, so that four sums are under way.
  for (; p.grid_w <= W && i + V <= p.grid_h; i += V) {
    row_tile<V>(p, p.source + i * p.pitch, p.pitch, sum);
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) store_row(p, sum[v], p.out + (i + v) * p.out_row, p.grid_w);
  }
  for (; i < p.grid_h; ++i) {
    const float* source = p.source + i * p.pitch;
    float* out = p.out + i * p.out_row;
    std::int64_t j = 0;
    for (; j + (V - 1) * W < p.grid_w; j += V * W) {
      row_tile<V>(p, source + j, W, sum);
#pragma GCC unroll 3
      for (int v = 0; v < V - 1; ++v) store_row(p, sum[v], out + (j + v * W) * p.out_column, W);
      store_row(p, sum[V - 1], out + (j + (V - 1) * W) * p.out_column, lanes_at(j + (V - 1) * W, p.grid_w));
    }
    for (; j < p.grid_w; j += W) {
      F one[1];
      row_tile<1>(p, source + j, W, one);
      store_row(p, one[0], out + j * p.out_column, lanes_at(j, p.grid_w));
    }
  }
  if (p.bias == 0.0f && p.activation.kind == Activation::none) return;
  for (i = 0; i < p.grid_h; ++i)
    finish_row(p.out + i * p.out_row, p.grid_w, p.bias, p.activation.kind, p.activation.alpha);
}

constexpr std::int64_t most_tap_columns = 16;

// R rows of V vectors from column j. The rows lie `dilation_h` apart, so that they share loads. S is the number of tap
// columns, or 0 for any. Only the first and the last vector may reach beyond the source: `left` and `right` say which
// of their lanes do not, for each tap column.
template <int R, int V, int S>
inline void plane_tile(const PlaneSum& p, const LaneMask* left, const LaneMask* right, std::int64_t i, std::int64_t j) {
  const std::int64_t columns = S > 0 ? S : p.tap_columns;
  F sum[R][V];
#pragma GCC unroll 4
  for (int o = 0; o < R; ++o) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) sum[o][v] = F{};
  }
  for (std::int64_t c = 0; c < p.channels; ++c) {
    const float* plane = p.source + c * p.height * p.width + p.first_column + j;
    const float* weight = p.weight + c * p.tap_rows * columns;
    // Row `step` of the source is tap row `step` of the first row of results, `step` − 1 of the second, and so on.
    for (std::int64_t step = 0; step < p.tap_rows + R - 1; ++step, weight += columns) {
      const std::int64_t row = p.first_row + i + step * p.dilation_h;
      if (row < 0 || row >= p.height) continue;
      const float* at = plane + row * p.width;
#pragma GCC unroll 3
      for (std::int64_t s = 0; s < columns; ++s, at += p.dilation_w) {
        F value[V];
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) {
          value[v] = v == 0       ? load_lanes(at, left[s])
                     : v == V - 1 ? load_lanes(at + v * W, right[s])
                                  : load(at + v * W);
        }
#pragma GCC unroll 4
        for (int o = 0; o < R; ++o) {
          if (step < o || step - o >= p.tap_rows) continue;
          const F scale = broadcast(weight[s - o * columns]);
#pragma GCC unroll 4
          for (int v = 0; v < V; ++v) sum[o][v] = fma(value[v], scale, sum[o][v]);
        }
      }
    }
  }
  const F bias = broadcast(p.bias);
#pragma GCC unroll 4
  for (int o = 0; o < R; ++o) {
    float* out = p.out + (i + o * p.dilation_h) * p.grid_w + j;
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      const F value = activate(sum[o][v] + bias, p.activation.kind, p.activation.alpha);
      v < V - 1 ? store(out + v * W, value) : store_some(out + v * W, value, lanes_at(j + v * W, p.grid_w));
    }
  }
}

// The columns [j, j + V·W) of all rows: blocks of R·dilation rows, each row with those `dilation` below.
template <int V, int S>
void plane_columns(const PlaneSum& p, const LaneMask* left, const LaneMask* right, std::int64_t j) {
  constexpr int R = W == 16 ? 4 : 2;  // as many as the registers hold
  std::int64_t i = 0;
  for (; i + R * p.dilation_h <= p.grid_h; i += R * p.dilation_h) {
    for (std::int64_t row = i; row < i + p.dilation_h; ++row) plane_tile<R, V, S>(p, left, right, row, j);
  }
  for (; i < p.grid_h; ++i) plane_tile<1, V, S>(p, left, right, i, j);
}

template <int V>
void plane_columns_of(const PlaneSum& p, const LaneMask* left, const LaneMask* right, std::int64_t j) {
  p.tap_columns == 3 ? plane_columns<V, 3>(p, left, right, j) : plane_columns<V, 0>(p, left, right, j);
}

void plane_sum(const PlaneSum& p) {
  const std::int64_t reach = (p.tap_columns - 1) * p.dilation_w;
  for (std::int64_t j = 0, vectors; j < p.grid_w; j += vectors * W) {
    vectors = (p.grid_w - j + W - 1) / W;
    if (vectors > 4) vectors = 4;
    // With wide padding more than the outermost vectors reach beyond the source: then one at a time.
    const std::int64_t second = p.first_column + j + W, last = p.first_column + j + (vectors - 1) * W + reach;
    if (vectors > 2 && (second < 0 || last > p.width)) vectors = 1;
    LaneMask left[most_tap_columns], right[most_tap_columns];
    for (std::int64_t s = 0; s < p.tap_columns; ++s) {
      const std::int64_t column = p.first_column + j + s * p.dilation_w;
      left[s] = lanes_inside(column, p.width);
      right[s] = lanes_inside(column + (vectors - 1) * W, p.width);
    }
    switch (vectors) {
      case 1: plane_columns_of<1>(p, left, right, j); break;
      case 2: plane_columns_of<2>(p, left, right, j); break;
      case 3: plane_columns_of<3>(p, left, right, j); break;
      default: plane_columns_of<4>(p, left, right, j); break;
    }
  }
}

// What the vectors of a row may read: of `left`, and of the source for each of three tap columns.
struct RowMasks {
  LaneMask left, right[3];
};

// Rows [row, end) of the source, columns [j, columns). Where not All, some of the three rows of `left` that meet a row
// of the source may not exist. Three loads of the source and three of `left` feed nine multiply-adds.
template <bool All>
inline void plane_dots_rows(const PlaneDots& p, const RowMasks* masks, std::int64_t row, std::int64_t end,
                            std::int64_t first, std::int64_t columns, F (&total)[3][3]) {
  F sum[3][3];
#pragma GCC unroll 3
  for (int r = 0; r < 3; ++r) {
#pragma GCC unroll 3
    for (int s = 0; s < 3; ++s) sum[r][s] = total[r][s];
  }
  for (; row < end; ++row) {
    const float* right = p.source + row * p.width + p.first_column + first;
    const float* left = p.left + (row - p.first_row) * p.grid_w + first;
    for (std::int64_t j = 0; j < columns; j += W, ++masks) {
      F value[3];
#pragma GCC unroll 3
      for (int s = 0; s < 3; ++s) value[s] = load_lanes(right + j + s * p.dilation_w, masks->right[s]);
#pragma GCC unroll 3
      for (int r = 0; r < 3; ++r) {
        const std::int64_t i = row - p.first_row - r * p.dilation_h;
        if (!All && (i < 0 || i >= p.grid_h)) continue;
        const F own = load_lanes(left - r * p.dilation_h * p.grid_w + j, masks->left);
#pragma GCC unroll 3
        for (int s = 0; s < 3; ++s) sum[r][s] = fma(own, value[s], sum[r][s]);
      }
    }
    masks -= (columns + W - 1) / W;
  }
#pragma GCC unroll 3
  for (int r = 0; r < 3; ++r) {
#pragma GCC unroll 3
    for (int s = 0; s < 3; ++s) total[r][s] = sum[r][s];
  }
}

void plane_dots(const PlaneDots& p) {
  constexpr std::int64_t block = 16;  // vectors of a row
  F sum[3][3] = {};
  // The rows of the source that three rows of `left` meet.
  const std::int64_t reach = p.first_row + 2 * p.dilation_h;
  const std::int64_t all_begin = reach < 0 ? 0 : reach < p.height ? reach : p.height;
  const std::int64_t last = p.first_row + p.grid_h < p.height ? p.first_row + p.grid_h : p.height;
  const std::int64_t all_end = last > all_begin ? last : all_begin;
  for (std::int64_t j = 0; j < p.grid_w; j += block * W) {
    const std::int64_t columns = p.grid_w - j < block * W ? p.grid_w - j : block * W;
    RowMasks masks[block];
    for (std::int64_t v = 0; v * W < columns; ++v) {
      masks[v].left = lanes_inside(j + v * W, p.grid_w);
      for (int s = 0; s < 3; ++s) {
        masks[v].right[s] = lanes_inside(p.first_column + j + v * W + s * p.dilation_w, p.width);
      }
    }
    plane_dots_rows<false>(p, masks, 0, all_begin, j, columns, sum);
    plane_dots_rows<true>(p, masks, all_begin, all_end, j, columns, sum);
    plane_dots_rows<false>(p, masks, all_end, p.height, j, columns, sum);
  }
  for (int r = 0; r < 3; ++r) {
    for (int s = 0; s < 3; ++s) p.sum[r * 3 + s] += horizontal_sum(sum[r][s]);
  }
}

// N taps at a time, so that one load of `left` feeds N fused multiply-adds.
template <int N>
inline void row_dots(const ShiftedRowDots& p, std::int64_t first) {
  F sum[N];
#pragma GCC unroll 10
  for (int n = 0; n < N; ++n) sum[n] = F{};
  for (std::int64_t i = 0; i < p.grid_h; ++i) {
    for (std::int64_t j = 0; j < p.grid_w; j += W) {
      const std::int64_t count = lanes_at(j, p.grid_w);
      const F left = load_some(p.left + i * p.left_row + j, count);
      const float* right = p.right + i * p.pitch + j;
#pragma GCC unroll 10
      for (int n = 0; n < N; ++n) sum[n] = fma(left, load_some(right + p.offset[first + n], count), sum[n]);
    }
  }
  for (int n = 0; n < N; ++n) p.sum[first + n] += horizontal_sum(sum[n]);
}

void shifted_row_dots(const ShiftedRowDots& p) {
  std::int64_t k = 0;
  for (; k + 9 <= p.depth; k += 9) row_dots<9>(p, k);
  for (; k + 5 <= p.depth; k += 5) row_dots<5>(p, k);
  for (; k < p.depth; ++k) row_dots<1>(p, k);
}

}  // namespace

extern const RowKernels row_kernels = {
    .shifted_row = shifted_row,
    .most_tap_columns = most_tap_columns,
    .plane_sum = plane_sum,
    .plane_dots = plane_dots,
    .shifted_row_dots = shifted_row_dots,
};

}  // namespace dip::cpu::DIP_ISA
