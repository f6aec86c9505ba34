// What the convolution launchers ask of the vector kernels.
#pragma once

#include "core/activation_kind.h"
#include "core/isa.h"

namespace dip::cpu {

// A plane is copied into scratch memory with its zero padding, and for stride s split into s·s phases (every s-th row
// and column), so that each tap of the kernel reads it at a constant shift. `y0` and `x0` are where the copy begins in
// the plane; they are negative where there is padding.
struct PhaseCopy {
  std::int64_t height, width;   // of the source plane
  std::int64_t y0, x0;          // first row and column of this phase
  std::int64_t y_step, x_step;  // the stride
  std::int64_t rows, pitch;     // of the copy
};

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

// dweight[m][k] (+)= Σ_{image, q} left[image·left_image + m·plane + q] · right[image·right_image + offset[k] + q]
struct ShiftedDots {
  const float *left, *right;
  std::int64_t left_image, right_image, left_plane;
  const std::int64_t* offset;
  std::int64_t depth, rows;
  std::int64_t images, pitch, grid_h, grid_w;
  float* out;  // rows × depth
  bool accumulate;
};

// The same product over several images at once, for small planes: the columns of a tile are the positions of the
// results themselves, image after image, and no tile is wasted on what lies between two rows or behind the last.
struct PackedProduct {
  ShiftedProduct one;                    // of the first image
  std::int64_t source_image, out_image;  // distances of the images
  const std::int64_t* tile_offset;       // 0, column_block, 2·column_block, … depth_block of them
};

// Taps [first, last) of one axis.
struct TapRange {
  std::int32_t first, last;
};

// The same sums with the rows of the matrix as the vector and the positions of the grid one by one:
// out[m][i, j] = activation(bias[m] + Σ_{c, r, s} packed[m][c, r, s] · source[offset[c, r, s] + i·row + j·column]).
// Nothing is copied and nothing is padded: at the edges, the taps that miss the image are left out.
struct LaneProduct {
  const float* packed;  // pack_lanes() of the matrix
  const float* source;
  const std::int64_t* offset;
  std::int64_t channels, tap_rows, tap_columns;  // extents of c, r and s
  std::int64_t rows;
  const TapRange *row_taps, *column_taps;  // for every i, and every j: which r and s meet the image
  std::int64_t grid_w;                     // as many j
  std::int64_t images;
  std::int64_t source_image, source_row, source_column;  // distances in `source` of images, i and j
  float* out;
  std::int64_t out_image, out_plane, out_row, out_column;  // distances in `out` of images, m, i and j
  const float* bias;                                       // may be null
  ActivationSpec activation;
};

// How rows × columns of sums are cut into tiles: nearly equal parts of the rows and pieces of the columns.
struct ImageTiling {
  std::int64_t parts, pieces;
};

// The same sums once more with the images as the vector: `source` has the numbers of as many images as a vector has
// lanes side by side, and zeros where a tap of a tile misses the image to its left or right.
struct ImageProduct {
  ImageTiling tiling;
  const float* packed;  // of each part of the rows [c, r, s][row]
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

// dweight[m][k] (+)= Σ_{image, q} left[panel of m][image, q][m] · right[image·right_image + offset[q] + tap[k]]: the
// weight gradient with the filters as the vector.
struct LaneGradient {
  const float* left;  // panels of `lanes` filters, left_panel apart, each images × positions × lanes
  std::int64_t left_panel;
  const float* right;
  std::int64_t images, right_image;
  const std::int64_t* offset;  // of every position
  std::int64_t positions;
  const std::int64_t* tap;  // `depth` of them
  std::int64_t depth, rows;
  float* out;  // rows × depth
  bool accumulate;
};

// A row of tiles of Winograd's convolution: from six lines of pixels, each a vector of channels, `line` apart, to
// to[point·to_point + tile·to_tile].
struct WinogradInput {
  const float* source;
  std::int64_t line, tiles;
  float* to;
  std::int64_t to_tile, to_point;
};

// sums[point][tile][panels · lanes] = Σ_c weights[point·weights_point][panel][c] · source[point·source_point +
// position[tile] + c], for one panel or two.
struct WinogradProduct {
  const float* weights;
  std::int64_t weights_point, panels, channels;
  const float* source;
  std::int64_t source_point, tiles;
  const std::int64_t *offset, *position;  // 0, 1, 2, … `channels`; and of as many tiles as lane_columns
  float* sums;
};

// The results of a row of tiles, 4 × 4 each, of which the plane has `height` × `width`.
struct WinogradOutput {
  const float* sums;
  std::int64_t sums_tile, sums_point, tiles;
  std::int64_t rows;  // filters of the panel
  const float* bias;  // may be null
  ActivationSpec activation;
  std::int64_t height, width;
  float* out;
  std::int64_t out_plane;
  float* lines;  // room for 16 vectors a tile
};

// Of one point of Winograd's weight gradient: sums[channel][panels · lanes] (+)= Σ_tile left[panel·left_panel][tile] ·
// right[offset[tile] + channel], for one panel or two.
struct WinogradGradient {
  const float* left;
  std::int64_t left_panel, panels, channels;
  const float* right;
  const std::int64_t *offset, *position;  // of each tile; and 0, 1, 2, … lane_columns
  std::int64_t tiles;
  float* sums;
  bool accumulate;
};

// The taps of some channels, and of `rows` filters: out[filter·out_row + channel·9 + tap].
struct WinogradTaps {
  const float* sums;
  std::int64_t sums_channel, sums_point, channels, rows;
  float* out;
  std::int64_t out_row;
  float* taps;  // room for 9 vectors a channel
};

// One row of a ShiftedProduct, for groups of so few filters and channels that a tile would stay nearly empty:
// out[i, j] = activation(bias + Σ_k weight[k] · source[offset[k] + i·pitch + j]).
struct ShiftedRow {
  const float *weight, *source;
  const std::int64_t* offset;
  std::int64_t depth, pitch, grid_h, grid_w;
  float* out;
  std::int64_t out_row, out_column;
  float bias;
  ActivationSpec activation;
};

// The same for stride 1, read from the planes as they are, with zeros outside:
// out[i, j] = activation(bias + Σ_{c, r, s} weight[c, r, s] · source[c][first_row + i + r·dilation_h,
//                                                                     first_column + j + s·dilation_w]).
struct PlaneSum {
  const float *weight, *source;
  std::int64_t channels, height, width;  // of the source
  std::int64_t tap_rows, tap_columns, dilation_h, dilation_w, first_row, first_column;
  std::int64_t grid_h, grid_w;
  float* out;
  float bias;
  ActivationSpec activation;
};

// sum[r, s] += Σ_{i, j} left[i, j] · source[first_row + i + r·dilation_h, first_column + j + s·dilation_w] for 3 × 3
// taps and stride 1, read from the plane as it is, with zeros outside: the gradient of a PlaneSum.
struct PlaneDots {
  const float *left, *source;
  std::int64_t height, width;  // of the source
  std::int64_t dilation_h, dilation_w, first_row, first_column;
  std::int64_t grid_h, grid_w;
  double* sum;
};

// sum[k] += Σ_{i, j} left[i·left_row + j] · right[offset[k] + i·pitch + j]: the gradient of such a row.
struct ShiftedRowDots {
  const float *left, *right;
  const std::int64_t* offset;
  std::int64_t depth, left_row, pitch, grid_h, grid_w;
  double* sum;
};

struct ConvKernels {
  std::int64_t row_block;     // rows in a panel of the packed matrix
  std::int64_t column_block;  // flat columns that one tile covers
  std::int64_t lanes;         // rows in a panel of pack_lanes()
  std::int64_t lane_columns;  // columns of a tile whose vector is along the rows
  std::int64_t depth_block;   // of the depth, what stays in the first-level cache
  std::int64_t tiles_at_once;
  std::int64_t dot_row_block, dot_column_block;
  void (*copy_phase)(const PhaseCopy& copy, const float* plane, float* to);
  void (*pack_rows)(const float* matrix, std::int64_t row_stride, const std::int64_t* column_offset, std::int64_t rows,
                    std::int64_t depth, float* packed);
  void (*shifted_product)(const ShiftedProduct& p, std::int64_t row_begin, std::int64_t row_end, std::int64_t q_begin,
                          std::int64_t q_end, float* sums);  // whole row blocks × column_block × tiles_at_once
  void (*shifted_dots)(const ShiftedDots& p, std::int64_t row_begin, std::int64_t row_end, std::int64_t column_begin,
                       std::int64_t column_end);
  // Columns [q_begin, q_end) of images × grid; `tile` has room for depth_block × column_block floats and a vector.
  void (*packed_product)(const PackedProduct& p, std::int64_t row_begin, std::int64_t row_end, std::int64_t q_begin,
                         std::int64_t q_end, float* sums, float* tile);
  void (*shifted_row)(const ShiftedRow& p);
  std::int64_t most_tap_columns;
  void (*plane_sum)(const PlaneSum& p);  // for up to most_tap_columns
  void (*plane_dots)(const PlaneDots& p);
  void (*shifted_row_dots)(const ShiftedRowDots& p);
  // packed[k][lane] = matrix[lane·row_stride + column_offset[k]], for up to `lanes` rows.
  void (*pack_lanes)(const float* matrix, std::int64_t row_stride, const std::int64_t* column_offset, std::int64_t rows,
                     std::int64_t depth, float* packed);
  // Rows [row_begin, row_end), whole panels but for the last, of the grid's rows [grid_begin, grid_end).
  void (*lane_product)(const LaneProduct& p, std::int64_t row_begin, std::int64_t row_end, std::int64_t grid_begin,
                       std::int64_t grid_end);
  // Rows [row_begin, row_end), two panels at most, of taps [tap_begin, tap_end).
  void (*lane_gradient)(const LaneGradient& p, std::int64_t row_begin, std::int64_t row_end, std::int64_t tap_begin,
                        std::int64_t tap_end, float* sums);  // room for 2·lanes numbers a tap
  std::int64_t image_rows;                                   // most rows of a tile whose vector is along the images
  // Of so many rows.
  int (*image_columns)(int rows);
  // to[i][lane] = from[lane·image + i], zeros in the lanes beyond `images`.
  void (*interleave)(const float* from, std::int64_t image, std::int64_t images, std::int64_t count, float* to);
  // The grid's rows [grid_begin, grid_end); `sums` has room for a part of the rows × sums_rows × grid_w vectors.
  void (*image_product)(const ImageProduct& p, std::int64_t grid_begin, std::int64_t grid_end, float* sums);
  bool (*unpool_images)(const ImageUnpooling& p);
  void (*image_gradient)(const ImageGradient& p);
  void (*sum_lanes)(const float* vectors, std::int64_t count, float* out);
  void (*winograd_weights)(const float* taps, std::int64_t channels, float* to, std::int64_t to_point);
  void (*winograd_input)(const WinogradInput& p);
  void (*winograd_product)(const WinogradProduct& p);
  bool (*winograd_output)(const WinogradOutput& p);   // whether all results are finite
  void (*winograd_gradient)(const WinogradInput& p);  // of dy: four lines instead of six
  void (*winograd_gradient_product)(const WinogradGradient& p);
  bool (*winograd_taps)(const WinogradTaps& p);  // whether all are finite
  // to[j·to_row + i] = from[i·from_row + j]
  void (*transpose)(const float* from, std::int64_t from_row, std::int64_t rows, std::int64_t columns, float* to,
                    std::int64_t to_row);
  double (*sum)(const float* values, std::int64_t count);
};

}  // namespace dip::cpu

DIP_KERNEL_TABLE(ConvKernels, conv_kernels)
