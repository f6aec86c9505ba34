// What Winograd's way asks of the vector kernels.
#pragma once

#include "core/activation_kind.h"
#include "cpu/kernel_table.h"

namespace dip::cpu {

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

struct WinogradKernels {
  void (*weights)(const float* taps, std::int64_t channels, float* to, std::int64_t to_point);
  void (*input)(const WinogradInput& p);
  void (*product)(const WinogradProduct& p);
  bool (*output)(const WinogradOutput& p);   // whether all results are finite
  void (*gradient)(const WinogradInput& p);  // of dy: four lines instead of six
  void (*gradient_product)(const WinogradGradient& p);
  bool (*taps)(const WinogradTaps& p);  // whether all are finite
};

}  // namespace dip::cpu

DIP_KERNEL_TABLE(WinogradKernels, winograd_kernels)
