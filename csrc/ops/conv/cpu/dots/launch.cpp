// The gradient of a convolution's weights by dot products: the launcher.
#include <algorithm>
#include <vector>

#include "cpu/costs.h"
#include "cpu/parallel.h"
#include "cpu/scratch.h"
#include "ops/conv/conv.h"
#include "ops/conv/cpu/dots/kernels.h"
#include "ops/conv/cpu/kernels.h"
#include "ops/conv/cpu/padded_input.h"
#include "ops/conv/cpu/ways.h"

namespace dip::cpu {

using std::int64_t;

// The vectors run along the flat padded planes.
void backward_weight_by_dots(const WeightPlan& plan, const float* dy, const float* x, float* dweight) {
  const Conv2d& p = plan.p;
  const Axis &h = p.window.h, &w = p.window.w;
  const PaddedInput input(p.window, p.group_channels());
  const int64_t depth = p.group_channels() * p.taps(), rows = p.group_filters();
  const int64_t dy_plane = h.output * input.pitch, x_image = p.C * input.channel, dy_image = p.K * dy_plane;
  constexpr int64_t kept = 1 << 18;     // floats of planes read in place: they stay in the second-level cache
  const bool as_is = p.is_pointwise();  // x and dy are their own copies
  const int64_t batch =
      std::clamp<int64_t>((as_is ? kept : scratch_floats) / (x_image + dy_image), 1, std::max<int64_t>(p.N, 1));

  static thread_local Scratch x_scratch, dy_scratch;
  float* x_copies = as_is ? nullptr : x_scratch.floats(batch * x_image + slack);
  float* dy_copies = as_is ? nullptr : dy_scratch.floats(batch * dy_image + slack);
  if (p.N == 0) std::fill(dweight, dweight + p.K * depth, 0.0f);

  const DotKernels& kernels = dot_kernels();
  const int64_t row_blocks = divide_up(rows, kernels.row_block);
  const int64_t column_blocks = divide_up(depth, kernels.column_block);
  const int64_t column_pieces = std::min(column_blocks, divide_up(pieces_wanted, p.groups * row_blocks));
  const int64_t column_step = divide_up(column_blocks, column_pieces) * kernels.column_block;
  for (int64_t first = 0; first < p.N; first += batch) {
    const int64_t images = std::min(batch, p.N - first);
    parallel_for(as_is ? 0 : images * (p.C + p.K), [&](int64_t task) {
      if (task < images * p.C) {
        input.copy_channel(p.window, x + (first * p.C + task) * h.input * w.input, x_copies + task * input.channel);
      } else {
        task -= images * p.C;
        plane_kernels().copy_phase(
            {
                .height = h.output,
                .width = w.output,
                .y0 = 0,
                .x0 = 0,
                .y_step = 1,
                .x_step = 1,
                .rows = h.output,
                .pitch = input.pitch,
            },
            dy + (first * p.K + task) * h.output * w.output, dy_copies + task * dy_plane);
      }
    });
    parallel_for(p.groups * row_blocks * column_pieces, [&](int64_t task) {
      const int64_t column = task % column_pieces * column_step;
      const int64_t row = task / column_pieces % row_blocks * kernels.row_block;
      const int64_t g = task / column_pieces / row_blocks;
      if (column >= depth) return;
      ShiftedDots dots{};
      dots.left = (as_is ? dy + first * dy_image : dy_copies) + g * rows * dy_plane;
      dots.right = (as_is ? x + first * x_image : x_copies) + g * p.group_channels() * input.channel;
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
      kernels.shifted_dots(dots, row, std::min(rows, row + kernels.row_block), column,
                           std::min(depth, column + column_step));
    });
  }
}

double backward_weight_dots_cost(const WeightPlan& plan) {
  const Conv2d& p = plan.p;
  // Two loads feed each multiply-add of a dot product but for the tile's reuse, and lanes are summed at its end.
  return (p.is_pointwise() ? costs().dots_in_place : costs().dots_product) *
         static_cast<double>(p.group_filters() * p.group_channels() * p.taps()) *
         static_cast<double>(p.window.h.output * p.window.w.output);
}

}  // namespace dip::cpu
