// What the way by images asks of the vector kernels.
#pragma once

#include "core/activation_kind.h"
#include "cpu/kernel_table.h"
#include "ops/conv/cpu/kernels.h"

namespace dip::cpu {

// How rows × columns of sums are cut into tiles: nearly equal pieces of the rows and of the columns.
struct ImageTiling {
  std::int64_t row_pieces, column_pieces;
};

// The same sums once more with the images as the vector: `source` has the numbers of as many images as a vector has
// lanes side by side, and zeros where a tap of a tile misses the image to its left or right.
struct ImageProduct {
  ImageTiling tiling;
  const float* packed;  // of each piece of the rows [c, r, s][row]
  const float* source;
  const std::int64_t* offset;                    // of [c, r, s]
  std::int64_t channels, tap_rows, tap_columns;  // extents of c, r and s
  std::int64_t rows;
  const TapRange *row_taps, *column_taps;  // for every i, and every j: which r and s meet the image
  std::int64_t grid_w;                     // as many j
  std::int64_t source_begin;               // the i to which `source` belongs
  std::int64_t source_row, source_column;  // distances in `source` of i and j
  std::int64_t sums_rows;                  // as many i at a time fit into the room for sums
  std::int64_t channels_at_once;           // as many a tile adds up before it goes to the next i
  std::int64_t images;
  float* out;                         // of the first image
  std::int64_t out_image, out_plane;  // distances in `out` of images and m
  const float* bias;                  // may be null
  ActivationSpec activation;
  // Where `indices` are wanted, max pooling follows: of every window pool_h × pool_w only the maximum goes to `out`,
  // and where it stands in the plane of i and j to `indices`, which lie as `out` does.
  std::int64_t pool_h, pool_w;
  std::int32_t* indices;
};

// Max pooling back, to vectors of images: to[i·to_line + j] for the windows of a plane grid_w wide.
struct ImageUnpooling {
  const float* dy;  // windows_h × windows_w
  const std::int32_t* indices;
  std::int64_t image, images;  // distance and number of the images
  std::int64_t windows_h, windows_w, pool_h, pool_w, grid_w;
  float* to;
  std::int64_t to_line;
  float* sum;  // (+)= Σ dy, lane by lane
};

// sums[m][k] (+)= Σ_q left[m][left_offset[q]] · right[tap[k] + right_offset[q]], lane by lane.
struct ImageGradient {
  ImageTiling tiling;  // of rows × depth
  const float* left;
  std::int64_t left_plane;
  const float* right;
  const std::int64_t *tap, *left_offset, *right_offset;  // `depth`, and `positions` of them
  std::int64_t depth, rows, positions;
  float* sums;  // rows × depth vectors
  bool accumulate;
};

struct ImageKernels {
  std::int64_t most_rows;  // of a tile
  // Columns of a tile with `rows` rows.
  int (*columns)(int rows);
  // to[i][lane] = from[lane·image + i], zeros in the lanes beyond `images`.
  void (*interleave)(const float* from, std::int64_t image, std::int64_t images, std::int64_t count, float* to);
  // The grid's rows [grid_begin, grid_end); `sums` has room for a piece of the rows × sums_rows × grid_w vectors.
  void (*product)(const ImageProduct& p, std::int64_t grid_begin, std::int64_t grid_end, float* sums);
  bool (*unpool_images)(const ImageUnpooling& p);
  void (*gradient)(const ImageGradient& p);
  void (*sum_lanes)(const float* vectors, std::int64_t count, float* out);
};

}  // namespace dip::cpu

DIP_KERNEL_TABLE(ImageKernels, image_kernels)
