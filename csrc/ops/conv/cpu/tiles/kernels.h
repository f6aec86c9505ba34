// What the way by tiles asks of the vector kernels.
#pragma once

#include "core/activation_kind.h"
#include "cpu/kernel_table.h"

namespace dip::cpu {

// out[m][i, j] = activation(bias[m] + Σ_k packed[m][k] · source[offset[k] + i·pitch + j]) on a grid of i and j.
struct ShiftedProduct {
  const float* packed;  // pack_rows() of the matrix
  const float* source;
  const std::int64_t* offset;  // `depth` of them
  std::int64_t depth, rows;
  std::int64_t pitch, grid_h, grid_w;
  float* out;
  std::int64_t out_plane, out_row, out_column;  // distances in `out` of m, i and j
  const float* bias;                            // may be null
  ActivationSpec activation;
};

// The same product over several images at once, for small planes: the columns of a tile are the positions of the
// results themselves, image after image, and no tile is wasted on what lies between two rows or behind the last.
struct PackedProduct {
  ShiftedProduct one;                    // of the first image
  std::int64_t source_image, out_image;  // distances of the images
  const std::int64_t* tile_offset;       // 0, column_block, 2·column_block, … depth_block of them
};

struct TileKernels {
  std::int64_t column_block;  // flat columns that one tile covers
  std::int64_t depth_block;   // of the depth, what stays in the first-level cache
  std::int64_t tiles_at_once;
  void (*shifted_product)(const ShiftedProduct& p, std::int64_t row_begin, std::int64_t row_end, std::int64_t q_begin,
                          std::int64_t q_end, float* sums);  // whole row blocks × column_block × tiles_at_once
  // Columns [q_begin, q_end) of images × grid; `tile` has room for depth_block × column_block floats and a vector.
  void (*packed_product)(const PackedProduct& p, std::int64_t row_begin, std::int64_t row_end, std::int64_t q_begin,
                         std::int64_t q_end, float* sums, float* tile);
};

}  // namespace dip::cpu

DIP_KERNEL_TABLE(TileKernels, tile_kernels)
