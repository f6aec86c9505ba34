// Convolution by tiles, compiled once for each instruction set.
//
// Why shifts instead of im2col: with the input padded, and split into phases for a stride, the tap (r, s) of channel c
// is the input plane read at one constant offset. So the implicit matrix of patches is never built; the product
// reads the padded planes in place, K·R·S times per byte copied. The price is that the flat index q = i·pitch + j also
// runs over the few columns between the output's width and the pitch, whose results are dropped; where that price is
// high, for small planes, packed_product copies just the columns of one tile, over all images.
//
// Work: 2·N·K·O_h·O_w·(C/groups)·F_h·F_w floating-point operations for each of the three operators. Each tile of
// outer_tile does MR·NV fused multiply-adds for MR + NV loads (24 for 11 with AVX-512), so the multiplier is the limit,
// not the loads.
#include "ops/conv/cpu/tiles/kernels.h"

#include "cpu/gemm/tiles.h"

namespace dip::cpu::DIP_ISA {
namespace {

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

}  // namespace

extern const TileKernels tile_kernels = {
    .column_block = NR,
    .depth_block = depth_block,
    .tiles_at_once = tiles_at_once,
    .shifted_product = shifted_product,
    .packed_product = packed_product,
};

}  // namespace dip::cpu::DIP_ISA
