// Convolution with the filters, or backward the channels, as the vector: images are read where they lie, and nothing is
// padded.
#include <algorithm>
#include <vector>

#include "core/frames.h"
#include "cpu/costs.h"
#include "ops/conv/cpu/lanes/tasks.h"
#include "ops/conv/cpu/tap_axis.h"
#include "ops/conv/cpu/ways.h"

namespace dip::cpu {
namespace {

using std::int64_t;

// The offsets of `channels` of so many frames, which lie `between` and `channel` apart.
std::vector<int64_t> offsets_of(int64_t frames, int64_t between, int64_t channels, int64_t channel, int64_t width,
                                const TapAxis& h, const TapAxis& w) {
  std::vector<int64_t> offsets;
  offsets.reserve(frames * channels * h.count() * w.count());
  for (int64_t t = 0; t < frames; ++t) {
    for (int64_t c = 0; c < channels; ++c) {
      for (int64_t r : h.shift) {
        for (int64_t s : w.shift) offsets.push_back(t * between + c * channel + r * width + s);
      }
    }
  }
  return offsets;
}

// What the product of one image and group costs. The fewer the taps, the less a fetched line of the source is reused; a
// single panel makes one multiply-add of every broadcast, and loads become the limit; the results of a tile are
// transposed.
double cost(int64_t rows, int64_t channels, const TapAxis& h, const TapAxis& w) {
  const int64_t panels = divide_up(rows, packing_kernels().lanes);
  const double lanes =
      static_cast<double>(panels * packing_kernels().lanes) * (panels == 1 ? costs().lanes_single : 1.0);
  const double depth = static_cast<double>(channels * h.meetings() * w.meetings());
  const double taps = static_cast<double>(std::max<int64_t>(h.count() * w.count(), 1));
  const double positions = static_cast<double>(h.positions() * w.positions());
  return lanes *
         (depth * (1.0 + costs().lanes_fetch * static_cast<double>(w.step) / taps) + costs().lanes_result * positions);
}

}  // namespace

double forward_lanes_cost(const ForwardPlan& plan) {
  const Conv2d& p = plan.p;
  return cost(p.group_filters(), p.group_channels(), plan.h, plan.w);
}

double backward_data_lanes_cost(const DataPlan& plan) {
  const Conv2d& p = plan.p;
  double sum = 0.0;
  for (const TapPhase& h : plan.h) {
    for (const TapPhase& w : plan.w) sum += cost(p.group_channels(), p.group_filters(), h.axis, w.axis);
  }
  return sum;
}

namespace {

// Clips of which runs of frames are computed from runs of others. Images are clips of one frame.
struct Frames {
  int64_t clips;
  int64_t source_frames, out_frames;
  std::vector<FrameRun> runs;  // the same taps of the weights serve all of them, or fewer
};

// Adds the batches of all frames to be computed, from what is the same for all. `tap_floats`: of the packed matrix, for
// one tap in time.
std::vector<LaneBatch> batches_of(const Frames& frames, const LaneProduct& any, int64_t tap_floats, int64_t in_plane,
                                  int64_t in_channels, int64_t out_plane, int64_t out_channels, int64_t first_tap) {
  std::vector<LaneBatch> batches;
  const int64_t in_clip = in_channels * frames.source_frames * in_plane;
  const int64_t out_clip = out_channels * frames.out_frames * out_plane;
  for (const FrameRun& run : frames.runs) {
    LaneProduct product = any;
    product.channels *= run.taps;
    product.source += run.source * in_plane;
    product.out += run.first * out_plane;
    // Images that lie in steps are the frames of a clip, or, where that has one, the clips.
    const bool single = run.count == 1;
    product.source_image = single ? in_clip : run.source_step * in_plane;
    product.out_image = single ? out_clip : run.step * out_plane;
    for (int64_t n = 0; n < (single ? 1 : frames.clips); ++n) {
      batches.push_back({single ? frames.clips : run.count, product.channels * in_plane,
                         (run.tap - first_tap) / run.tap_step * tap_floats, product});
      product.source += in_clip;
      product.out += out_clip;
    }
  }
  return batches;
}

// The taps in time that some run has: from the first on, so many.
struct TimeTaps {
  int64_t first, step, count;

  explicit TimeTaps(const std::vector<FrameRun>& runs) : first(runs[0].tap), step(runs[0].tap_step) {
    int64_t last = first;
    for (const FrameRun& run : runs) {
      first = std::min(first, run.tap);
      last = std::max(last, run.tap + (run.taps - 1) * step);
    }
    count = (last - first) / step + 1;
  }
};

// Some frames of y. `kernel_frames`: taps in time of the weights.
void forward_frames(const Conv2d& p, const TapAxis& h_axis, const TapAxis& w_axis, const Frames& frames,
                    int64_t kernel_frames, const float* x, const float* weight, const float* bias, float* y) {
  const Axis &h = p.window.h, &w = p.window.w;
  const int64_t channels = p.group_channels(), rows = p.group_filters(), taps = p.taps();
  const int64_t in_plane = h.input * w.input, out_plane = h.output * w.output;
  const TimeTaps time(frames.runs);
  std::vector<int64_t> columns;
  for (int64_t t = time.first; t < time.first + time.count; ++t) {
    for (int64_t c = 0; c < channels; ++c) {
      for (int64_t tap = 0; tap < taps; ++tap) columns.push_back((c * kernel_frames + t) * taps + tap);
    }
  }
  const int64_t in_channel = frames.source_frames * in_plane, out_channel = frames.out_frames * out_plane;
  const int64_t row = channels * kernel_frames * taps;
  LanePhase all{
      offsets_of(time.count, frames.runs[0].between * in_plane, channels, in_channel, w.input, h_axis, w_axis),
      {
          .first = weight,
          .groups = p.groups,
          .group_stride = rows * row,
          .rows = rows,
          .row_stride = row,
          .columns = std::move(columns),
          .times = time.count,
          .step = 256,
      },
      {},
      h.output};

  LaneProduct any{};
  any.panel = all.matrix.panel();
  any.source = x;
  any.offset = all.offsets.data();
  any.channels = channels;
  any.tap_rows = h.kernel;
  any.tap_columns = w.kernel;
  any.source_row = h.stride * w.input;
  any.source_column = w.stride;
  any.row_taps = h_axis.taps.data();
  any.column_taps = w_axis.taps.data();
  any.grid_w = w.output;
  any.out = y;
  any.out_plane = out_channel;
  any.out_row = w.output;
  any.out_column = 1;
  any.bias = bias;
  any.activation = p.activation;
  all.batches =
      batches_of(frames, any, channels * taps * packing_kernels().lanes, in_plane, p.C, out_plane, p.K, time.first);
  std::vector<LanePhase> phases;
  phases.push_back(std::move(all));
  run_lane_products(phases, {channels * in_channel, rows * out_channel});
}

// Some frames of dx, from dy.
void backward_data_frames(const Conv2d& p, const std::vector<TapPhase>& h_phases, const std::vector<TapPhase>& w_phases,
                          const Frames& frames, int64_t kernel_frames, const float* dy, const float* weight,
                          float* dx) {
  const Axis &h = p.window.h, &w = p.window.w;
  const int64_t rows = p.group_channels(), filters = p.group_filters(), taps = p.taps();
  const int64_t in_plane = h.input * w.input, out_plane = h.output * w.output;
  const int64_t in_channel = frames.out_frames * in_plane, out_channel = frames.source_frames * out_plane;
  const TimeTaps time(frames.runs);
  const int64_t row = kernel_frames * taps;  // of a filter's channel
  std::vector<LanePhase> phases;
  for (const TapPhase& down : h_phases) {
    for (const TapPhase& across : w_phases) {
      std::vector<int64_t> columns;
      for (int64_t t = 0; t < time.count; ++t) {
        const int64_t tap = time.first + t * time.step;
        for (int64_t k = 0; k < filters; ++k) {
          for (int64_t r : down.taps) {
            for (int64_t s : across.taps) columns.push_back(k * rows * row + tap * taps + r * w.kernel + s);
          }
        }
      }
      const int64_t phase_taps = down.axis.count() * across.axis.count();
      LanePhase phase{offsets_of(time.count, frames.runs[0].between * out_plane, filters, out_channel, w.output,
                                 down.axis, across.axis),
                      {
                          .first = weight,
                          .groups = p.groups,
                          .group_stride = filters * rows * row,
                          .rows = rows,
                          .row_stride = row,
                          .columns = std::move(columns),
                          .times = time.count,
                          .step = phase_taps,
                      },
                      {},
                      down.axis.positions()};

      LaneProduct any{};
      any.panel = phase.matrix.panel();
      any.source = dy;
      any.offset = phase.offsets.data();
      any.channels = filters;
      any.tap_rows = down.axis.count();
      any.tap_columns = across.axis.count();
      any.source_row = w.output;
      any.source_column = 1;
      any.row_taps = down.axis.taps.data();
      any.column_taps = across.axis.taps.data();
      any.grid_w = across.axis.positions();
      any.out = dx + down.first * w.input + across.first;
      any.out_plane = in_channel;
      any.out_row = h.stride * w.input;
      any.out_column = w.stride;
      phase.batches = batches_of(frames, any, filters * phase_taps * packing_kernels().lanes, out_plane, p.K, in_plane,
                                 p.C, time.first);
      phases.push_back(std::move(phase));  // the offsets stay where they are
    }
  }
  run_lane_products(phases, {filters * out_channel, rows * in_channel});
}

}  // namespace

void forward_by_lanes(const ForwardPlan& plan, const float* x, const float* weight, const float* bias, float* y) {
  forward_frames(plan.p, plan.h, plan.w, {plan.p.N, 1, 1, {one_frame}}, 1, x, weight, bias, y);
}

void backward_data_by_lanes(const DataPlan& plan, const float* dy, const float* weight, float* dx) {
  backward_data_frames(plan.p, plan.h, plan.w, {plan.p.N, 1, 1, {one_frame}}, 1, dy, weight, dx);
}

void forward_clips_by_lanes(const Conv3d& p, const float* x, const float* weight, const float* bias, float* y) {
  const ForwardPlan plan(p.frame);
  forward_frames(plan.p, plan.h, plan.w, {p.frame.N, p.d.input, p.d.output, forward_runs(p.d)}, p.d.kernel, x, weight,
                 bias, y);
}

void backward_data_clips_by_lanes(const Conv3d& p, const float* dy, const float* weight, float* dx) {
  const DataPlan plan(p.frame);
  const std::vector<FrameRun> runs = backward_runs(p.d);
  // Those of one phase have the same taps, or fewer.
  for (auto first = runs.begin(), last = first; first != runs.end(); first = last) {
    while (last != runs.end() && (last->first - first->first) % first->step == 0) ++last;
    backward_data_frames(plan.p, plan.h, plan.w, {p.frame.N, p.d.output, p.d.input, {first, last}}, p.d.kernel, dy,
                         weight, dx);
  }
}

}  // namespace dip::cpu
