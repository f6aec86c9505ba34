// The gradient of a convolution's weights on the CPU.
#include <algorithm>
#include <vector>

#include "core/parallel.h"
#include "core/scratch.h"
#include "ops/conv/conv.h"
#include "ops/conv/kernels.h"
#include "ops/conv/padded_input.h"
#include "ops/conv/ways.h"

namespace dip::cpu {

using std::int64_t;

// With the filters as the vector: dy is copied into panels of them, x is read in place, or from a padded copy.
void backward_weight_by_lanes(const Conv2d& p, const float* dy, const float* x, float* dweight) {
  const Axis &h = p.window.h, &w = p.window.w;
  const ConvKernels& kernels = conv_kernels();
  const int64_t channels = p.group_channels(), filters = p.group_filters(), depth = channels * p.taps();
  const int64_t lines = h.input + h.pad_start + h.pad_end, columns = w.input + w.pad_start + w.pad_end;
  const bool padded = lines > h.input || columns > w.input;
  const int64_t in_plane = h.input * w.input, x_plane = lines * columns, positions = h.output * w.output;
  const int64_t panels = divide_up(filters, kernels.lanes), panel = positions * kernels.lanes;

  const int64_t image_floats = (padded ? p.C * x_plane : 0) + p.groups * panels * panel;
  const int64_t batch = std::clamp<int64_t>(2 * scratch_floats / image_floats, 1, std::max<int64_t>(p.N, 1));
  static thread_local Scratch x_scratch, dy_scratch;
  float* x_copy = x_scratch.floats(padded ? batch * p.C * x_plane : 1);
  float* dy_copy = dy_scratch.floats(batch * p.groups * panels * panel);

  std::vector<int64_t> offsets, taps;
  for (int64_t oh = 0; oh < h.output; ++oh) {
    for (int64_t ow = 0; ow < w.output; ++ow) offsets.push_back(oh * h.stride * columns + ow * w.stride);
  }
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t r = 0; r < h.kernel; ++r) {
      for (int64_t s = 0; s < w.kernel; ++s) {
        taps.push_back(c * x_plane + r * h.dilation * columns + s * w.dilation);
      }
    }
  }

  if (p.N == 0) std::fill(dweight, dweight + p.K * depth, 0.0f);
  const int64_t pairs = divide_up(panels, 2), pieces = divide_up(pieces_wanted, p.groups * pairs);
  const int64_t tap_step = std::max(divide_up(depth, pieces), std::min(depth, kernels.lane_columns));
  const int64_t tap_pieces = divide_up(depth, tap_step);
  for (int64_t first = 0; first < p.N; first += batch) {
    const int64_t images = std::min(batch, p.N - first), own = padded ? p.C : 0;
    parallel_for(images * (own + p.groups * panels), [&](int64_t task) {
      const int64_t image = task % images, part = task / images;
      if (part < own) {
        kernels.copy_phase({h.input, w.input, -h.pad_start, -w.pad_start, 1, 1, lines, columns},
                           x + ((first + image) * p.C + part) * in_plane, x_copy + (image * p.C + part) * x_plane);
        return;
      }
      const int64_t which = part - own, g = which / panels, k = which % panels * kernels.lanes;
      const int64_t rows = std::min(kernels.lanes, filters - k);
      float* to = dy_copy + (which * batch + image) * panel;
      if (rows < kernels.lanes) std::fill(to, to + panel, 0.0f);
      kernels.transpose(dy + ((first + image) * p.K + g * filters + k) * positions, positions, rows, positions, to,
                        kernels.lanes);
    });
    parallel_for(p.groups * pairs * tap_pieces, [&](int64_t task) {
      const int64_t tap = task % tap_pieces * tap_step, pair = task / tap_pieces % pairs, g = task / tap_pieces / pairs;
      const float* source = padded ? x_copy : x + first * p.C * in_plane;
      static thread_local Scratch sums;
      const LaneGradient gradient{dy_copy + g * panels * batch * panel,
                                  batch * panel,
                                  source + g * channels * x_plane,
                                  images,
                                  p.C * x_plane,
                                  offsets.data(),
                                  positions,
                                  taps.data(),
                                  depth,
                                  filters,
                                  dweight + g * filters * depth,
                                  first > 0};
      kernels.lane_gradient(gradient, pair * 2 * kernels.lanes, std::min(filters, (pair + 1) * 2 * kernels.lanes), tap,
                            std::min(depth, tap + tap_step), sums.floats(tap_step * 2 * kernels.lanes));
    });
  }
}

// Along the positions, with the flat padded planes as vectors.
void backward_weight_by_dots(const Conv2d& p, const float* dy, const float* x, float* dweight) {
  const Axis &h = p.window.h, &w = p.window.w;
  const PaddedInput input(p.window, p.group_channels());
  const int64_t depth = p.group_channels() * p.taps(), rows = p.group_filters();
  const int64_t dy_plane = h.output * input.pitch, x_image = p.C * input.channel, dy_image = p.K * dy_plane;
  const int64_t batch = std::clamp<int64_t>(scratch_floats / (x_image + dy_image), 1, std::max<int64_t>(p.N, 1));

  static thread_local Scratch x_scratch, dy_scratch;
  float* x_planes = x_scratch.floats(batch * x_image + slack);
  float* dy_planes = dy_scratch.floats(batch * dy_image + slack);
  if (p.N == 0) std::fill(dweight, dweight + p.K * depth, 0.0f);

  const ConvKernels& kernels = conv_kernels();
  const int64_t row_blocks = divide_up(rows, kernels.dot_row_block);
  const int64_t column_blocks = divide_up(depth, kernels.dot_column_block);
  const int64_t column_pieces = std::min(column_blocks, divide_up(pieces_wanted, p.groups * row_blocks));
  const int64_t column_step = divide_up(column_blocks, column_pieces) * kernels.dot_column_block;
  for (int64_t first = 0; first < p.N; first += batch) {
    const int64_t images = std::min(batch, p.N - first);
    parallel_for(images * (p.C + p.K), [&](int64_t task) {
      if (task < images * p.C) {
        input.copy_channel(p.window, x + (first * p.C + task) * h.input * w.input, x_planes + task * input.channel);
      } else {
        task -= images * p.C;
        kernels.copy_phase({h.output, w.output, 0, 0, 1, 1, h.output, input.pitch},
                           dy + (first * p.K + task) * h.output * w.output, dy_planes + task * dy_plane);
      }
    });
    parallel_for(p.groups * row_blocks * column_pieces, [&](int64_t task) {
      const int64_t column = task % column_pieces * column_step;
      const int64_t row = task / column_pieces % row_blocks * kernels.dot_row_block;
      const int64_t g = task / column_pieces / row_blocks;
      if (column >= depth) return;
      ShiftedDots dots{};
      dots.left = dy_planes + g * rows * dy_plane;
      dots.right = x_planes + g * p.group_channels() * input.channel;
      dots.left_image = dy_image;
      dots.right_image = x_image;
      dots.left_plane = dy_plane;
      dots.offset = input.offsets.data();
      dots.depth = depth;
      dots.rows = rows;
      dots.images = images;
      dots.pitch = input.pitch;
      dots.grid_h = h.output;
      dots.grid_w = w.output;
      dots.out = dweight + g * rows * depth;
      dots.accumulate = first > 0;
      kernels.shifted_dots(dots, row, std::min(rows, row + kernels.dot_row_block), column,
                           std::min(depth, column + column_step));
    });
  }
}

double backward_weight_lanes_cost(const Conv2d& p) {
  const int64_t panels = divide_up(p.group_filters(), conv_kernels().lanes);
  const double rows = static_cast<double>(panels * conv_kernels().lanes);
  const double positions = static_cast<double>(p.window.h.output * p.window.w.output);
  // Copying dy takes as long as 30 steps; a single panel is limited by loads.
  return rows * positions * (static_cast<double>(p.group_channels() * p.taps()) * (panels == 1 ? 1.2 : 1.0) + 30.0);
}

double backward_weight_dots_cost(const Conv2d& p) {
  // Two loads feed each multiply-add of a dot product but for the tile's reuse, and lanes are summed at its end.
  return 3.3 * static_cast<double>(p.group_filters() * p.group_channels() * p.taps()) *
         static_cast<double>(p.window.h.output * p.window.w.output);
}

}  // namespace dip::cpu
