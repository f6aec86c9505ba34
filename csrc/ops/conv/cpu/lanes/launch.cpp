// Convolution with the filters, or backward the channels, as the vector: nothing is copied, nothing padded.
#include <algorithm>
#include <vector>

#include "core/frames.h"
#include "cpu/costs.h"
#include "cpu/gemm/kernels.h"
#include "cpu/parallel.h"
#include "cpu/scratch.h"
#include "ops/conv/cpu/kernels.h"
#include "ops/conv/cpu/lanes/kernels.h"
#include "ops/conv/cpu/padded_input.h"
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

// Packs the rows of `groups` matrices, whose columns are those of so many taps in time: `step` columns of all rows, and
// all times, at a time. So a matrix is read nearly as it lies, and once.
void pack_lane_rows(const float* matrix, int64_t groups, int64_t group_stride, int64_t rows, int64_t row_stride,
                    const std::vector<int64_t>& columns, int64_t times, int64_t step, float* packed) {
  const int64_t panels = divide_up(rows, packing_kernels().lanes), depth = static_cast<int64_t>(columns.size());
  const int64_t of_time = depth / times, parts = divide_up(of_time, step), grain = divide_up(256, step);
  parallel_ranges(groups * parts, grain, [&](int64_t part, int64_t end) {
    for (; part < end; ++part) {
      const int64_t g = part / parts, first_column = part % parts * step;
      for (int64_t panel = 0; panel < panels; ++panel) {
        const int64_t first = panel * packing_kernels().lanes;
        for (int64_t begin = first_column; begin < depth; begin += of_time) {
          packing_kernels().pack_lanes(matrix + g * group_stride + first * row_stride, row_stride,
                                       columns.data() + begin, std::min(packing_kernels().lanes, rows - first),
                                       std::min(step, of_time - first_column),
                                       packed + ((g * panels + panel) * depth + begin) * packing_kernels().lanes);
        }
      }
    }
  });
}

int64_t packed_floats(int64_t groups, int64_t rows, int64_t depth) {
  return groups * divide_up(rows, packing_kernels().lanes) * packing_kernels().lanes * depth;
}

// Images that lie in steps, and the product of the first of them in the first group.
struct LaneBatch {
  int64_t images;
  int64_t image_floats;  // that an image's product reads
  LaneProduct product;
};

// How far apart the groups lie.
struct LaneGroups {
  int64_t count, packed, source, out;
};

// Runs the products of all images and groups. A task uses two panels of the matrix for so many images that reading
// the panels from memory does not count; neighbouring tasks read the same images.
void run_lane_products(const std::vector<LaneBatch>& batches, const LaneGroups& groups, int64_t grid_h) {
  if (batches.empty() || grid_h == 0) return;
  const LaneKernels& kernels = lane_kernels();
  const int64_t rows = batches[0].product.rows, grid_w = batches[0].product.grid_w;
  const int64_t two_panels = 2 * packing_kernels().lanes, pairs = divide_up(rows, two_panels);
  double products = 0.0;
  int64_t images = 0;
  for (const LaneBatch& batch : batches) {
    const LaneProduct& p = batch.product;
    images += batch.images;
    products += static_cast<double>(batch.images * p.channels * p.tap_rows * p.tap_columns);
  }
  if (images == 0) return;
  const int64_t depth = static_cast<int64_t>(products) / images;
  const int64_t wanted = divide_up(pieces_of(images * groups.count * rows * grid_h * grid_w, depth),
                                   groups.count * pairs * static_cast<int64_t>(batches.size()));

  // How each batch is cut: tasks [first_task, …) take `image_step` images and `grid_step` rows of the grid.
  struct Cut {
    int64_t first_task, image_step, grid_step, grid_pieces;
  };
  std::vector<Cut> cuts;
  int64_t tasks = 0;
  for (const auto& [count, image_floats, p] : batches) {
    const int64_t panel_floats = two_panels * p.channels * p.tap_rows * p.tap_columns;
    const int64_t amortized = divide_up(std::max<int64_t>(panel_floats, 1 << 17), image_floats);
    const int64_t image_step = std::min(divide_up(count, std::min(count, wanted)), amortized);
    const int64_t image_pieces = divide_up(count, image_step);
    const int64_t grid_step = divide_up(grid_h, std::min(grid_h, divide_up(wanted, image_pieces)));
    const int64_t grid_pieces = divide_up(grid_h, grid_step);
    cuts.push_back({tasks, image_step, grid_step, grid_pieces});
    tasks += groups.count * pairs * image_pieces * grid_pieces;
  }
  parallel_for(tasks, [&](int64_t task) {
    const auto after = std::upper_bound(cuts.begin(), cuts.end(), task,
                                        [](int64_t at, const Cut& cut) { return at < cut.first_task; });
    const Cut& cut = after[-1];
    const LaneBatch& batch = batches[after - cuts.begin() - 1];
    const int64_t of_batch = task - cut.first_task;
    const int64_t pair = of_batch % pairs, g = of_batch / pairs % groups.count;
    const int64_t grid = of_batch / pairs / groups.count % cut.grid_pieces * cut.grid_step;
    const int64_t first = of_batch / pairs / groups.count / cut.grid_pieces * cut.image_step;
    LaneProduct some = batch.product;
    some.packed += g * groups.packed;
    some.source += g * groups.source + first * some.source_image;
    some.out += g * groups.out + first * some.out_image;
    if (some.bias) some.bias += g * rows;
    some.images = std::min(batch.images - first, cut.image_step);
    kernels.product(some, pair * two_panels, std::min(rows, (pair + 1) * two_panels), grid,
                    std::min(grid_h, grid + cut.grid_step));
  });
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
    product.packed += (run.tap - first_tap) / run.tap_step * tap_floats;
    product.source += run.source * in_plane;
    product.out += run.first * out_plane;
    // Images that lie in steps are the frames of a clip, or, where that has one, the clips.
    const bool single = run.count == 1;
    product.source_image = single ? in_clip : run.source_step * in_plane;
    product.out_image = single ? out_clip : run.step * out_plane;
    for (int64_t n = 0; n < (single ? 1 : frames.clips); ++n) {
      batches.push_back({single ? frames.clips : run.count, product.channels * in_plane, product});
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
  const std::vector<int64_t> offsets =
      offsets_of(time.count, frames.runs[0].between * in_plane, channels, in_channel, w.input, h_axis, w_axis);
  const int64_t depth = static_cast<int64_t>(columns.size()), row = channels * kernel_frames * taps;
  static thread_local Scratch packed_scratch;
  float* packed = packed_scratch.floats(packed_floats(p.groups, rows, depth));
  pack_lane_rows(weight, p.groups, rows * row, rows, row, columns, time.count, 256, packed);

  LaneProduct any{};
  any.packed = packed;
  any.panel = depth * packing_kernels().lanes;
  any.source = x;
  any.offset = offsets.data();
  any.channels = channels;
  any.tap_rows = h.kernel;
  any.tap_columns = w.kernel;
  any.rows = rows;
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
  const LaneGroups groups{p.groups, packed_floats(1, rows, depth), channels * in_channel, rows * out_channel};
  run_lane_products(
      batches_of(frames, any, channels * taps * packing_kernels().lanes, in_plane, p.C, out_plane, p.K, time.first),
      groups, h.output);
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
  static thread_local Scratch packed_scratch;
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
      const std::vector<int64_t> offsets = offsets_of(time.count, frames.runs[0].between * out_plane, filters,
                                                      out_channel, w.output, down.axis, across.axis);
      const int64_t depth = static_cast<int64_t>(columns.size()), phase_taps = down.axis.count() * across.axis.count();
      float* packed = packed_scratch.floats(packed_floats(p.groups, rows, depth));
      pack_lane_rows(weight, p.groups, filters * rows * row, rows, row, columns, time.count, phase_taps, packed);

      LaneProduct any{};
      any.packed = packed;
      any.panel = depth * packing_kernels().lanes;
      any.source = dy;
      any.offset = offsets.data();
      any.channels = filters;
      any.tap_rows = down.axis.count();
      any.tap_columns = across.axis.count();
      any.rows = rows;
      any.source_row = w.output;
      any.source_column = 1;
      any.row_taps = down.axis.taps.data();
      any.column_taps = across.axis.taps.data();
      any.grid_w = across.axis.positions();
      any.out = dx + down.first * w.input + across.first;
      any.out_plane = in_channel;
      any.out_row = h.stride * w.input;
      any.out_column = w.stride;
      const LaneGroups groups{p.groups, packed_floats(1, rows, depth), filters * out_channel, rows * in_channel};
      run_lane_products(batches_of(frames, any, filters * phase_taps * packing_kernels().lanes, out_plane, p.K,
                                   in_plane, p.C, time.first),
                        groups, down.axis.positions());
    }
  }
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
