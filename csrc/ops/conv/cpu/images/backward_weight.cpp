// The gradient of a convolution's weights with the images of the batch as the vector.
#include <algorithm>

#include "cpu/costs.h"
#include "cpu/gemm/kernels.h"
#include "cpu/parallel.h"
#include "ops/conv/cpu/images/images.h"
#include "ops/conv/cpu/images/tiling.h"

namespace dip::cpu {

using std::int64_t;

namespace {

// The tiling of the gradient, where every tap takes one step.
Tiling gradient_tiling(int64_t rows, int64_t depth) {
  return best_tiling(rows, depth, [&](int64_t r, int64_t pieces) {
    const int64_t longer = depth % pieces, length = depth / pieces;
    return longer * step_cost(r, length + 1) + (pieces - longer) * step_cost(r, length);
  });
}

// How many lines of a piece's filters stay in the first-level cache for all taps.
int64_t gradient_lines(int64_t filters, const ImageTiling& tiling, int64_t columns) {
  return std::max<int64_t>(held_at_most / (divide_up(filters, tiling.row_pieces) * columns), 1);
}

}  // namespace

const ImageSteps& image_steps(WeightPlan& plan) {
  if (plan.images) return *plan.images;
  const Conv2d& p = plan.p;
  const int64_t filters = p.group_filters(), depth = p.group_channels() * p.taps(), width = p.window.w.output;
  const Tiling tiling = gradient_tiling(filters, depth);
  const double chunks = static_cast<double>(divide_up(p.window.h.output, gradient_lines(filters, tiling, width)));
  plan.images = {static_cast<double>(p.window.h.output * width) * tiling.cost +
                     costs().images_sum * chunks * static_cast<double>(filters * depth),
                 tiling};
  return *plan.images;
}

PreparedGradient::PreparedGradient(const WeightPlan& plan, const HeldPlanes& held_x, int64_t left_line)
    : tiling(plan.images->tiling),
      filters(plan.p.group_filters()),
      depth(plan.p.group_channels() * plan.p.taps()),
      lines(gradient_lines(filters, tiling, plan.p.window.w.output)),
      taps(held_x.offsets(plan.p.group_channels(), plan.h, plan.w)),
      right_line(plan.p.window.h.stride * held_x.line),
      grid_w(plan.p.window.w.output) {
  const Conv2d& p = plan.p;
  const int64_t lanes = packing_kernels().lanes;
  for (int64_t i = 0; i < lines; ++i) {
    for (int64_t j = 0; j < grid_w; ++j) {
      left_offsets.push_back(i * left_line + j * lanes);
      right_offsets.push_back(i * right_line + j * p.window.w.stride * lanes);
    }
  }
}

void PreparedGradient::run(const float* left, int64_t left_plane, const float* right, int64_t count, float* sums,
                           bool accumulate) const {
  image_kernels().gradient({
      .tiling = tiling,
      .left = left,
      .left_plane = left_plane,
      .right = right,
      .tap = taps.data(),
      .left_offset = left_offsets.data(),
      .right_offset = right_offsets.data(),
      .depth = depth,
      .rows = filters,
      .positions = count * grid_w,
      .sums = sums,
      .accumulate = accumulate,
  });
}

void sum_shares(const float* partial, int64_t shares, int64_t count, float* dweight) {
  constexpr int64_t grain = 512;
  parallel_ranges(count, grain, [&](int64_t begin, int64_t end) {
    double sum[grain] = {};
    for (int64_t share = 0; share < shares; ++share) {
      for (int64_t i = begin; i < end; ++i) sum[i - begin] += partial[share * count + i];
    }
    for (int64_t i = begin; i < end; ++i) dweight[i] = static_cast<float>(sum[i - begin]);
  });
}

void backward_weight_by_images(const WeightPlan& plan, const float* dy, const float* x, float* dweight) {
  const Conv2d& p = plan.p;
  const Axis &h = p.window.h, &w = p.window.w;
  const ImageKernels& kernels = image_kernels();
  const int64_t lanes = packing_kernels().lanes, channels = p.group_channels(), filters = p.group_filters();
  const int64_t in_plane = h.input * w.input, out_plane = h.output * w.output, depth = channels * p.taps();
  const TapAxis &h_axis = plan.h, &w_axis = plan.w;
  const Units units(p.N, p.groups, h.output);
  const HeldPlanes held(Held(h_axis, units.longest()), Held(w_axis, w.output));
  const PreparedGradient gradient(plan, held, w.output * lanes);

  // A task adds up what it finds in several units; their number must not depend on that of the threads.
  const int64_t all = units.blocks * units.pieces, shares = std::min(all, pieces_wanted);
  static thread_local Scratch partial_scratch;
  float* partial = partial_scratch.floats(std::max<int64_t>(shares * p.K * depth, 1));
  parallel_for(shares * p.groups, [&](int64_t task) {
    const int64_t share = task % shares, g = task / shares;
    static thread_local Scratch x_scratch, dy_scratch, sums_scratch;
    float* x_held = x_scratch.floats(channels * held.plane);
    float* dy_held = dy_scratch.floats(filters * gradient.lines * w.output * lanes);
    float* sums = sums_scratch.floats(filters * depth * lanes);
    for (int64_t unit = share * all / shares; unit < (share + 1) * all / shares; ++unit) {
      const int64_t piece = unit % units.pieces, first = unit / units.pieces * lanes;
      const int64_t some = std::min(lanes, p.N - first), begin = units.begin(piece), end = units.begin(piece + 1);
      held.interleave(x + (first * p.C + g * channels) * in_plane, p.C * in_plane, some, channels, h.input, w.input,
                      begin * h.stride + held.lines.first, Held(h_axis, end - begin).extent, x_held);
      for (int64_t i = begin; i < end; i += gradient.lines) {
        const int64_t count = std::min(gradient.lines, end - i), plane = count * w.output * lanes;
        for (int64_t m = 0; m < filters; ++m) {
          kernels.interleave(dy + (first * p.K + g * filters + m) * out_plane + i * w.output, p.K * out_plane, some,
                             count * w.output, dy_held + m * plane);
        }
        const bool accumulate = unit > share * all / shares || i > begin;
        gradient.run(dy_held, plane, x_held + (i - begin) * h.stride * held.line, count, sums, accumulate);
      }
    }
    kernels.sum_lanes(sums, filters * depth, partial + (share * p.groups + g) * filters * depth);
  });
  sum_shares(partial, shares, p.K * depth, dweight);
}

}  // namespace dip::cpu
