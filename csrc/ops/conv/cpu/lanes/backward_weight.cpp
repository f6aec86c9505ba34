// The gradient of a convolution's weights with the filters as the vector.
#include <algorithm>
#include <vector>

#include "cpu/costs.h"
#include "cpu/gemm/kernels.h"
#include "cpu/parallel.h"
#include "cpu/scratch.h"
#include "ops/conv/cpu/kernels.h"
#include "ops/conv/cpu/lanes/kernels.h"
#include "ops/conv/cpu/padded_input.h"
#include "ops/conv/cpu/ways.h"

namespace dip::cpu {

using std::int64_t;

namespace {

// Of clips, whose frames `d` describes, as of images that have one. dy is copied into panels of the filters, x is read
// in place, or from a padded copy.
void gradient_by_lanes(const Conv2d& p, const Axis& d, const float* dy, const float* x, float* dweight) {
  const Axis &h = p.window.h, &w = p.window.w;
  const LaneKernels& kernels = lane_kernels();
  const int64_t channels = p.group_channels(), filters = p.group_filters(), depth = channels * d.kernel * p.taps();
  const int64_t frames = d.input + d.pad_start + d.pad_end, lines = h.input + h.pad_start + h.pad_end,
                columns = w.input + w.pad_start + w.pad_end;
  const bool padded = frames > d.input || lines > h.input || columns > w.input;
  const int64_t in_plane = h.input * w.input, x_plane = lines * columns, x_channel = frames * x_plane;
  const int64_t positions = d.output * h.output * w.output;
  const int64_t panels = divide_up(filters, packing_kernels().lanes), panel = positions * packing_kernels().lanes;

  const int64_t image_floats = (padded ? p.C * x_channel : 0) + p.groups * panels * panel;
  const int64_t batch = std::clamp<int64_t>(2 * scratch_floats / image_floats, 1, std::max<int64_t>(p.N, 1));
  static thread_local Scratch x_scratch, dy_scratch;
  float* x_copy = x_scratch.floats(padded ? batch * p.C * x_channel : 1);
  float* dy_copy = dy_scratch.floats(batch * p.groups * panels * panel);

  std::vector<int64_t> offsets, taps;
  offsets.reserve(positions);
  taps.reserve(depth);
  for (int64_t od = 0; od < d.output; ++od) {
    for (int64_t oh = 0; oh < h.output; ++oh) {
      for (int64_t ow = 0; ow < w.output; ++ow) {
        offsets.push_back(od * d.stride * x_plane + oh * h.stride * columns + ow * w.stride);
      }
    }
  }
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t t = 0; t < d.kernel; ++t) {
      for (int64_t r = 0; r < h.kernel; ++r) {
        for (int64_t s = 0; s < w.kernel; ++s) {
          taps.push_back(c * x_channel + t * d.dilation * x_plane + r * h.dilation * columns + s * w.dilation);
        }
      }
    }
  }

  if (p.N == 0) std::fill(dweight, dweight + p.K * depth, 0.0f);
  const int64_t pairs = divide_up(panels, 2), pieces = divide_up(pieces_wanted, p.groups * pairs);
  const int64_t tap_step = std::max(divide_up(depth, pieces), std::min(depth, packing_kernels().lane_columns));
  const int64_t tap_pieces = divide_up(depth, tap_step);
  for (int64_t first = 0; first < p.N; first += batch) {
    const int64_t images = std::min(batch, p.N - first), own = padded ? p.C * frames : 0;
    parallel_for(images * (own + p.groups * panels), [&](int64_t task) {
      const int64_t image = task % images, part = task / images;
      if (part < own) {
        const int64_t channel = part / frames, frame = part % frames - d.pad_start;
        float* to = x_copy + image * p.C * x_channel + part * x_plane;
        if (frame < 0 || frame >= d.input) {
          std::fill(to, to + x_plane, 0.0f);
          return;
        }
        plane_kernels().copy_phase(
            {
                .height = h.input,
                .width = w.input,
                .y0 = -h.pad_start,
                .x0 = -w.pad_start,
                .y_step = 1,
                .x_step = 1,
                .rows = lines,
                .pitch = columns,
            },
            x + (((first + image) * p.C + channel) * d.input + frame) * in_plane, to);
        return;
      }
      const int64_t which = part - own, g = which / panels, k = which % panels * packing_kernels().lanes;
      const int64_t rows = std::min(packing_kernels().lanes, filters - k);
      float* to = dy_copy + (which * batch + image) * panel;
      if (rows < packing_kernels().lanes) std::fill(to, to + panel, 0.0f);
      packing_kernels().transpose(dy + ((first + image) * p.K + g * filters + k) * positions, positions, rows,
                                  positions, to, packing_kernels().lanes);
    });
    parallel_for(p.groups * pairs * tap_pieces, [&](int64_t task) {
      const int64_t tap = task % tap_pieces * tap_step, pair = task / tap_pieces % pairs, g = task / tap_pieces / pairs;
      const float* source = padded ? x_copy : x + first * p.C * x_channel;
      static thread_local Scratch sums;
      const LaneGradient gradient{
          .left = dy_copy + g * panels * batch * panel,
          .left_panel = batch * panel,
          .right = source + g * channels * x_channel,
          .images = images,
          .right_image = p.C * x_channel,
          .offset = offsets.data(),
          .positions = positions,
          .tap = taps.data(),
          .depth = depth,
          .rows = filters,
          .out = dweight + g * filters * depth,
          .accumulate = first > 0,
      };
      kernels.gradient(gradient, pair * 2 * packing_kernels().lanes,
                       std::min(filters, (pair + 1) * 2 * packing_kernels().lanes), tap,
                       std::min(depth, tap + tap_step), sums.floats(tap_step * 2 * packing_kernels().lanes));
    });
  }
}

}  // namespace

void backward_weight_by_lanes(const WeightPlan& plan, const float* dy, const float* x, float* dweight) {
  gradient_by_lanes(plan.p, Window3d(plan.p.window).d, dy, x, dweight);
}

void backward_weight_clips_by_lanes(const Conv3d& p, const float* dy, const float* x, float* dweight) {
  gradient_by_lanes(p.frame, p.d, dy, x, dweight);
}

double backward_weight_lanes_cost(const WeightPlan& plan) {
  const Conv2d& p = plan.p;
  const int64_t panels = divide_up(p.group_filters(), packing_kernels().lanes);
  const double rows = static_cast<double>(panels * packing_kernels().lanes);
  const double positions = static_cast<double>(p.window.h.output * p.window.w.output);
  return rows * positions *
         (static_cast<double>(p.group_channels() * p.taps()) * (panels == 1 ? costs().lanes_single : 1.0) +
          costs().lanes_copy);
}

}  // namespace dip::cpu
