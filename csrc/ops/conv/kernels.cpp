// Convolution on the CPU, compiled once for each instruction set.
//
// Why shifts instead of im2col: with the input padded, and split into phases for a stride, the tap (r, s) of channel c
// is the input plane read at one constant offset. So the implicit matrix of patches is never built; the product
// reads the padded planes in place, K·R·S times per byte copied. The price is that the flat index q = i·pitch + j also
// runs over the few columns between the output's width and the pitch, whose results are dropped; where that price is
// high, for small planes, packed_product copies just the columns of one tile, over all images. Where there are enough
// filters to fill vectors, lane_kernels.h does without copies and padding; where there are few, but many images,
// image_kernels.h fills vectors with those. Groups of few channels, depthwise convolution above all, would leave a tile
// empty: shifted_row takes them a row at a time. Below the highest precision winograd_kernels.h multiplies less often,
// and bf16_cpu.cpp smaller numbers.
//
// Work: 2·N·K·O_h·O_w·(C/groups)·F_h·F_w floating-point operations for each of the three operators. Each tile of
// outer_tile does MR·NV fused multiply-adds for MR + NV loads (24 for 11 with AVX-512), so the multiplier is the limit,
// not the loads.
#include "ops/conv/kernels.h"

#include "core/lane_tiles.h"
#include "core/tiles.h"
#include "ops/conv/image_kernels.h"
#include "ops/conv/lane_kernels.h"
#include "ops/conv/winograd_kernels.h"

namespace dip::cpu::DIP_ISA {
namespace {

void copy_phase(const PhaseCopy& copy, const float* plane, float* to) {
  // The columns j for which 0 ≤ x0 + j·x_step < width.
  const std::int64_t first = copy.x0 < 0 ? (-copy.x0 + copy.x_step - 1) / copy.x_step : 0;
  const std::int64_t room = copy.width - copy.x0 + copy.x_step - 1;
  std::int64_t last = room > 0 ? room / copy.x_step : 0;
  if (last > copy.pitch) last = copy.pitch;
  for (std::int64_t i = 0; i < copy.rows; ++i, to += copy.pitch) {
    const std::int64_t y = copy.y0 + i * copy.y_step;
    std::int64_t j = 0;
    if (y >= 0 && y < copy.height && first < last) {
      const float* row = plane + y * copy.width + copy.x0;
      for (; j < first; ++j) to[j] = 0.0f;
      if (copy.x_step == 1) {
        copy_row(to + j, row + j, last - j);
        j = last;
      }
      for (; j < last; ++j) to[j] = row[j * copy.x_step];
    }
    for (; j < copy.pitch; ++j) to[j] = 0.0f;
  }
}

// Moves the valid columns of one tile row, flat columns [q, q + count), to the output.
void scatter_row(const ShiftedProduct& p, const float* values, std::int64_t m, std::int64_t q, std::int64_t count) {
  float* plane = p.out + m * p.out_plane;
  std::int64_t i = q / p.pitch, j = q % p.pitch;
  while (count > 0) {
    const std::int64_t left_in_row = p.pitch - j < count ? p.pitch - j : count;
    const std::int64_t valid = p.grid_w - j < left_in_row ? p.grid_w - j : left_in_row;
    if (valid > 0) {
      float* to = plane + i * p.out_row + j * p.out_column;
      if (p.out_column == 1) {
        copy_row(to, values, valid);
      } else {
        for (std::int64_t x = 0; x < valid; ++x) to[x * p.out_column] = values[x];
      }
    }
    values += left_in_row;
    count -= left_in_row;
    j = 0;
    ++i;
  }
}

constexpr std::int64_t tiles_at_once = 4;

// Neighbouring columns of a tile whose numbers lie side by side.
struct Run {
  std::int64_t column, from, count;
};

// The runs of columns [q, q + count) in an array whose image, row and column lie this far apart.
std::int64_t find_runs(std::int64_t q, std::int64_t count, std::int64_t grid_h, std::int64_t grid_w, std::int64_t image,
                       std::int64_t row, std::int64_t column, Run* runs) {
  std::int64_t found = 0;
  for (std::int64_t c = 0; c < count;) {
    const std::int64_t j = (q + c) % grid_w, i = (q + c) / grid_w % grid_h, n = (q + c) / grid_w / grid_h;
    const std::int64_t left = grid_w - j < count - c ? grid_w - j : count - c;
    const std::int64_t from = n * image + i * row + j * column;
    if (found > 0 && column == 1 && runs[found - 1].from + runs[found - 1].count == from) {
      runs[found - 1].count += left;
    } else {
      runs[found++] = {c, from, left};
    }
    c += left;
  }
  return found;
}

// One run of all rows of a packed tile: V whole vectors, and `rest` more columns.
template <int V>
inline void pack_run(const float* source, const std::int64_t* offset, std::int64_t depth, std::int64_t rest,
                     float* to) {
  for (std::int64_t d = 0; d < depth; ++d, to += NR) {
    const float* from = source + offset[d];
    for (int v = 0; v < V; ++v) store(to + v * W, load(from + v * W));
    if (rest > 0) store(to + V * W, load(from + V * W, rest), rest);
  }
}

// The packed columns of a tile, depth × NR.
void pack_tile(const ShiftedProduct& p, std::int64_t k, std::int64_t depth, const Run* runs, std::int64_t count,
               float* tile) {
  for (const Run* run = runs; run < runs + count; ++run) {
    const float* source = p.source + run->from;
    float* to = tile + run->column;
    const std::int64_t rest = run->count % W;
    switch (run->count / W) {
      case 0: pack_run<0>(source, p.offset + k, depth, rest, to); break;
      case 1: pack_run<1>(source, p.offset + k, depth, rest, to); break;
      case 2: pack_run<2>(source, p.offset + k, depth, rest, to); break;
      default: pack_run<3>(source, p.offset + k, depth, rest, to); break;
    }
  }
}

// Bias and activation, for all rows of a tile of finished sums.
void finish_tile(const ShiftedProduct& p, std::int64_t row_begin, std::int64_t row_end, std::int64_t columns,
                 float* sums, std::int64_t sums_row) {
  if (!p.bias && p.activation.kind == Activation::none) return;
  for (std::int64_t m = row_begin; m < row_end; ++m, sums += sums_row) {
    finish_row(sums, columns, p.bias ? p.bias[m] : 0.0f, p.activation.kind, p.activation.alpha);
  }
}

// Sums of rows × NR columns over one depth block, added to what `sums` holds unless k is 0.
void tile_product(const ShiftedProduct& p, std::int64_t row_begin, std::int64_t row_end, std::int64_t columns,
                  std::int64_t k, std::int64_t depth, const float* source, const std::int64_t* offset, float* sums,
                  std::int64_t sums_row) {
  // A last, partly used vector reads past the columns: scratch memory has room for that, and the results are dropped.
  const int vectors = static_cast<int>((columns + W - 1) / W);
  for (std::int64_t m = row_begin; m < row_end; m += MR) {
    const std::int64_t rows = row_end - m < MR ? row_end - m : MR;
    choose_outer_tile(rows, vectors, false)(p.packed + m * p.depth + k * MR, source, offset, depth,
                                            sums + (m - row_begin) * sums_row, sums_row, k > 0, W);
  }
}

// One tile of columns of a packed product.
struct PackedTile {
  std::int64_t columns, in_count, out_count;
  Run in[NR], out[NR];
  float* sums;  // in scratch memory, or, where the results lie side by side, in their own place
  std::int64_t sums_row;
  bool in_place;
};

// Both products take a few tiles of columns at a time. Their source of one depth block fits into the first-level cache
// and serves all rows; the packed matrix of that depth block stays in the second and serves all the tiles; `sums` holds
// the sums of all rows and tiles in between.
void packed_product(const PackedProduct& packed, std::int64_t row_begin, std::int64_t row_end, std::int64_t q_begin,
                    std::int64_t q_end, float* sums, float* source) {
  const ShiftedProduct& p = packed.one;
  PackedTile tiles[tiles_at_once];
  for (std::int64_t q0 = q_begin; q0 < q_end; q0 += tiles_at_once * NR) {
    int count = 0;
    for (std::int64_t q = q0; q < q_end && count < tiles_at_once; q += NR, ++count) {
      PackedTile& t = tiles[count];
      t.columns = q_end - q < NR ? q_end - q : NR;
      t.in_count = find_runs(q, t.columns, p.grid_h, p.grid_w, packed.source_image, p.pitch, 1, t.in);
      t.out_count = find_runs(q, t.columns, p.grid_h, p.grid_w, packed.out_image, p.out_row, p.out_column, t.out);
      t.in_place = t.out_count == 1 && t.columns == NR && p.out_column == 1;
      t.sums = t.in_place ? p.out + row_begin * p.out_plane + t.out[0].from : sums + count * (row_end - row_begin) * NR;
      t.sums_row = t.in_place ? p.out_plane : NR;
    }
    for (std::int64_t k = 0; k < p.depth || k == 0; k += depth_block) {
      const std::int64_t depth = p.depth - k < depth_block ? p.depth - k : depth_block;
      for (int i = 0; i < count; ++i) {
        const PackedTile& t = tiles[i];
        if (t.in_count == 1 && t.columns == NR) {  // the columns lie side by side already
          tile_product(p, row_begin, row_end, NR, k, depth, p.source + t.in[0].from, p.offset + k, t.sums, t.sums_row);
          continue;
        }
        pack_tile(p, k, depth, t.in, t.in_count, source);
        tile_product(p, row_begin, row_end, t.columns, k, depth, source, packed.tile_offset, t.sums, t.sums_row);
      }
    }
    for (int i = 0; i < count; ++i) {
      const PackedTile& t = tiles[i];
      finish_tile(p, row_begin, row_end, t.columns, t.sums, t.sums_row);
      for (std::int64_t m = row_begin; m < row_end && !t.in_place; ++m) {
        const float* row = t.sums + (m - row_begin) * NR;
        for (std::int64_t r = 0; r < t.out_count; ++r) {
          float* to = p.out + m * p.out_plane + t.out[r].from;
          if (p.out_column == 1) {
            copy_row(to, row + t.out[r].column, t.out[r].count);
          } else {
            for (std::int64_t c = 0; c < t.out[r].count; ++c) to[c * p.out_column] = row[t.out[r].column + c];
          }
        }
      }
    }
  }
}

void shifted_product(const ShiftedProduct& p, std::int64_t row_begin, std::int64_t row_end, std::int64_t q_begin,
                     std::int64_t q_end, float* sums) {
  const std::int64_t tile_sums = (row_end - row_begin) * NR;
  for (std::int64_t q0 = q_begin; q0 < q_end; q0 += tiles_at_once * NR) {
    const std::int64_t last = q0 + tiles_at_once * NR < q_end ? q0 + tiles_at_once * NR : q_end;
    for (std::int64_t k = 0; k < p.depth || k == 0; k += depth_block) {
      const std::int64_t depth = p.depth - k < depth_block ? p.depth - k : depth_block;
      for (std::int64_t q = q0; q < last; q += NR) {
        tile_product(p, row_begin, row_end, last - q < NR ? last - q : static_cast<std::int64_t>(NR), k, depth,
                     p.source + q, p.offset + k, sums + (q - q0) / NR * tile_sums, NR);
      }
    }
    for (std::int64_t q = q0; q < last; q += NR) {
      const std::int64_t columns = last - q < NR ? last - q : static_cast<std::int64_t>(NR);
      float* tile = sums + (q - q0) / NR * tile_sums;
      finish_tile(p, row_begin, row_end, columns, tile, NR);
      for (std::int64_t m = row_begin; m < row_end; ++m, tile += NR) scatter_row(p, tile, m, q, columns);
    }
  }
}

bool all_finite(const float* out, std::int64_t row_stride, std::int64_t rows, std::int64_t columns) {
  for (std::int64_t m = 0; m < rows; ++m) {
    for (std::int64_t k = 0; k < columns; ++k) {
      if (!(__builtin_fabsf(out[m * row_stride + k]) < infinity)) return false;
    }
  }
  return true;
}

void shifted_dots(const ShiftedDots& p, std::int64_t row_begin, std::int64_t row_end, std::int64_t column_begin,
                  std::int64_t column_end) {
  const std::int64_t flat = p.pitch * (p.grid_h - 1) + p.grid_w;
  for (std::int64_t m0 = row_begin; m0 < row_end; m0 += dot_rows) {
    const std::int64_t rows = row_end - m0 < dot_rows ? row_end - m0 : dot_rows;
    for (std::int64_t k0 = column_begin; k0 < column_end; k0 += dot_columns) {
      const std::int64_t columns = column_end - k0 < dot_columns ? column_end - k0 : dot_columns;
      DotOperand a{{}, p.left_image, p.pitch}, b{{}, p.right_image, p.pitch};
      for (std::int64_t m = 0; m < rows; ++m) a.row[m] = p.left + (m0 + m) * p.left_plane;
      for (std::int64_t k = 0; k < columns; ++k) b.row[k] = p.right + p.offset[k0 + k];
      float* out = p.out + m0 * p.depth + k0;
      const DotTile tile = choose_dot_tile(rows, columns);
      float before[dot_rows][dot_columns];
      for (std::int64_t m = 0; m < rows && p.accumulate; ++m) {
        for (std::int64_t k = 0; k < columns; ++k) before[m][k] = out[m * p.depth + k];
      }
      // The flat sum also takes zeros of dy times whatever lies between the rows of x. That adds nothing, unless it is
      // infinite or NaN, which would leak into weights that never meet it: then sum again, row by row.
      tile(a, b, p.images, 1, flat, out, p.depth, 1, p.accumulate);
      if (!all_finite(out, p.depth, rows, columns)) {
        for (std::int64_t m = 0; m < rows && p.accumulate; ++m) {
          for (std::int64_t k = 0; k < columns; ++k) out[m * p.depth + k] = before[m][k];
        }
        tile(a, b, p.images, p.grid_h, p.grid_w, out, p.depth, 1, p.accumulate);
      }
    }
  }
}

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

double sum(const float* values, std::int64_t count) {
  // Sixteen partial sums: enough to fill the vectors of every instruction set, and the same on each.
  double partial[16] = {};
  std::int64_t i = 0;
  for (; i + 16 <= count; i += 16) {
    for (int lane = 0; lane < 16; ++lane) partial[lane] += values[i + lane];
  }
  for (int lane = 0; i + lane < count; ++lane) partial[lane] += values[i + lane];
  for (int half = 8; half > 0; half /= 2) {
    for (int lane = 0; lane < half; ++lane) partial[lane] += partial[lane + half];
  }
  return partial[0];
}

}  // namespace

extern const ConvKernels conv_kernels = {MR,
                                         NR,
                                         W,
                                         lane_columns,
                                         depth_block,
                                         tiles_at_once,
                                         dot_rows,
                                         dot_columns,
                                         copy_phase,
                                         pack_rows,
                                         shifted_product,
                                         shifted_dots,
                                         packed_product,
                                         shifted_row,
                                         most_tap_columns,
                                         plane_sum,
                                         plane_dots,
                                         shifted_row_dots,
                                         pack_lanes,
                                         lane_product,
                                         lane_gradient,
                                         image_rows,
                                         image_columns,
                                         interleave,
                                         image_product,
                                         unpool_images,
                                         image_gradient,
                                         sum_lanes,
                                         winograd_weights,
                                         winograd_input,
                                         winograd_product,
                                         winograd_output,
                                         winograd_gradient,
                                         winograd_gradient_product,
                                         winograd_taps,
                                         transpose,
                                         sum};

}  // namespace dip::cpu::DIP_ISA
