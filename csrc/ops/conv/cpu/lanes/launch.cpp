// Convolution with the filters, or backward the channels, as the vector: images are read where they lie, and nothing is
// padded.
#include <algorithm>
#include <vector>

#include "core/frames.h"
#include "cpu/costs.h"
#include "cpu/gemm/kernels.h"
#include "cpu/parallel.h"
#include "cpu/scratch.h"
#include "ops/conv/cpu/kernels.h"
#include "ops/conv/cpu/lanes/kernels.h"
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

// Matrices of weights, one of each group, whose columns are those of so many taps in time. They are packed `step`
// columns of all rows, and all times, at a time: so a matrix is read nearly as it lies, and once.
struct LaneMatrix {
  const float* first;
  int64_t groups, group_stride;
  int64_t rows, row_stride;
  std::vector<int64_t> columns;
  int64_t times, step;

  int64_t depth() const { return static_cast<int64_t>(columns.size()); }
  int64_t panel() const { return depth() * packing_kernels().lanes; }
  int64_t packed_group() const { return divide_up(rows, packing_kernels().lanes) * panel(); }
  int64_t steps() const { return divide_up(depth() / times, step); }
  int64_t pairs() const { return divide_up(rows, two_panels()); }  // of a group's panels
  static int64_t two_panels() { return 2 * packing_kernels().lanes; }

  // Packs of some rows, whole panels but for the last, the columns of one step.
  void pack_step(int64_t group, int64_t row, int64_t row_end, int64_t number, float* packed) const {
    const PackingKernels& kernels = packing_kernels();
    const int64_t of_time = depth() / times, column = number * step;
    for (; row < row_end; row += kernels.lanes, packed += panel()) {
      for (int64_t begin = column; begin < depth(); begin += of_time) {
        kernels.pack_lanes(first + group * group_stride + row * row_stride, row_stride, columns.data() + begin,
                           std::min(kernels.lanes, row_end - row), std::min(step, of_time - column),
                           packed + begin * kernels.lanes);
      }
    }
  }

  void pack_all(float* packed) const {
    parallel_ranges(groups * steps(), divide_up(256, step), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        pack_step(i / steps(), 0, rows, i % steps(), packed + i / steps() * packed_group());
      }
    });
  }
};

// Images that lie in steps, and the product of the first of them in the first group, without its matrix.
struct LaneBatch {
  int64_t images;
  int64_t image_floats;  // that an image's product reads
  int64_t first_tap;     // the floats of a panel that come before those it takes
  LaneProduct product;
};

// How far apart the groups lie.
struct LaneGroups {
  int64_t source, out;
};

// Whether each task packs what it needs: of a large matrix that serves few positions. To write it to memory and read it
// again would take up to a fifth of the time of the products.
bool packs_in_tasks(const LaneMatrix& matrix, int64_t positions) {
  constexpr int64_t large = 1 << 20, few = 2048;
  return matrix.groups * matrix.packed_group() >= large && positions <= few &&
         matrix.groups * matrix.pairs() >= 4 * num_threads();
}

// The products of two panels of the matrix and all images a task.
void run_packing_tasks(const std::vector<LaneBatch>& batches, const LaneMatrix& matrix, const LaneGroups& groups,
                       int64_t grid_h) {
  const LaneKernels& kernels = lane_kernels();
  const int64_t two_panels = LaneMatrix::two_panels(), pairs = matrix.pairs();
  parallel_for(matrix.groups * pairs, [&](int64_t task) {
    const int64_t g = task / pairs, row = task % pairs * two_panels, row_end = std::min(matrix.rows, row + two_panels);
    static thread_local Scratch panels_scratch;
    float* packed = panels_scratch.floats(2 * matrix.panel());
    for (int64_t i = 0; i < matrix.steps(); ++i) matrix.pack_step(g, row, row_end, i, packed);
    for (const LaneBatch& batch : batches) {
      LaneProduct all = batch.product;
      all.packed = packed + batch.first_tap;
      all.source += g * groups.source;
      all.out += g * groups.out + row * all.out_plane;
      if (all.bias) all.bias += g * matrix.rows + row;
      all.images = batch.images;
      kernels.product(all, 0, row_end - row, 0, grid_h);
    }
  });
}

// Runs the products of all images and groups. A task uses two panels of the matrix for so many images that reading
// the panels from memory does not count; neighbouring tasks read the same images.
void run_lane_products(const std::vector<LaneBatch>& batches, const LaneMatrix& matrix, const LaneGroups& groups,
                       int64_t grid_h) {
  if (batches.empty() || grid_h == 0) return;
  const LaneKernels& kernels = lane_kernels();
  const int64_t rows = matrix.rows, grid_w = batches[0].product.grid_w;
  const int64_t two_panels = LaneMatrix::two_panels(), pairs = matrix.pairs();
  double products = 0.0;
  int64_t images = 0;
  for (const LaneBatch& batch : batches) {
    const LaneProduct& p = batch.product;
    images += batch.images;
    products += static_cast<double>(batch.images * p.channels * p.tap_rows * p.tap_columns);
  }
  if (images == 0) return;
  if (packs_in_tasks(matrix, images * grid_h * grid_w)) return run_packing_tasks(batches, matrix, groups, grid_h);
  static thread_local Scratch packed_scratch;
  float* packed = packed_scratch.floats(matrix.groups * matrix.packed_group());
  matrix.pack_all(packed);
  const int64_t depth = static_cast<int64_t>(products) / images;
  const int64_t wanted = divide_up(pieces_of(images * matrix.groups * rows * grid_h * grid_w, depth),
                                   matrix.groups * pairs * static_cast<int64_t>(batches.size()));

  // How each batch is cut: tasks [first_task, …) take `image_step` images and `grid_step` rows of the grid.
  struct Cut {
    int64_t first_task, image_step, grid_step, grid_pieces;
  };
  std::vector<Cut> cuts;
  int64_t tasks = 0;
  for (const auto& [count, image_floats, first_tap, p] : batches) {
    const int64_t panel_floats = two_panels * p.channels * p.tap_rows * p.tap_columns;
    const int64_t amortized = divide_up(std::max<int64_t>(panel_floats, 1 << 17), image_floats);
    const int64_t image_step = std::min(divide_up(count, std::min(count, wanted)), amortized);
    const int64_t image_pieces = divide_up(count, image_step);
    const int64_t grid_step = divide_up(grid_h, std::min(grid_h, divide_up(wanted, image_pieces)));
    const int64_t grid_pieces = divide_up(grid_h, grid_step);
    cuts.push_back({tasks, image_step, grid_step, grid_pieces});
    tasks += matrix.groups * pairs * image_pieces * grid_pieces;
  }
  parallel_for(tasks, [&](int64_t task) {
    const auto after = std::upper_bound(cuts.begin(), cuts.end(), task,
                                        [](int64_t at, const Cut& cut) { return at < cut.first_task; });
    const Cut& cut = after[-1];
    const LaneBatch& batch = batches[after - cuts.begin() - 1];
    const int64_t of_batch = task - cut.first_task;
    const int64_t pair = of_batch % pairs, g = of_batch / pairs % matrix.groups;
    const int64_t grid = of_batch / pairs / matrix.groups % cut.grid_pieces * cut.grid_step;
    const int64_t first = of_batch / pairs / matrix.groups / cut.grid_pieces * cut.image_step;
    LaneProduct some = batch.product;
    some.packed = packed + g * matrix.packed_group() + batch.first_tap;
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
  const std::vector<int64_t> offsets =
      offsets_of(time.count, frames.runs[0].between * in_plane, channels, in_channel, w.input, h_axis, w_axis);
  const int64_t row = channels * kernel_frames * taps;
  const LaneMatrix matrix{weight, p.groups, rows * row, rows, row, std::move(columns), time.count, 256};

  LaneProduct any{};
  any.panel = matrix.panel();
  any.source = x;
  any.offset = offsets.data();
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
  run_lane_products(
      batches_of(frames, any, channels * taps * packing_kernels().lanes, in_plane, p.C, out_plane, p.K, time.first),
      matrix, {channels * in_channel, rows * out_channel}, h.output);
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
      const int64_t phase_taps = down.axis.count() * across.axis.count();
      const LaneMatrix matrix{weight, p.groups,           filters * rows * row, rows,
                              row,    std::move(columns), time.count,           phase_taps};

      LaneProduct any{};
      any.panel = matrix.panel();
      any.source = dy;
      any.offset = offsets.data();
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
      run_lane_products(batches_of(frames, any, filters * phase_taps * packing_kernels().lanes, out_plane, p.K,
                                   in_plane, p.C, time.first),
                        matrix, {filters * out_channel, rows * in_channel}, down.axis.positions());
    }
  }
}

}  // namespace

void forward_by_lanes(const ForwardPlan& plan, const float* x, const float* weight, const float* bias, float* y) {
  forward_frames(plan.p, plan.h, plan.w, {plan.p.N, 1, 1, {one_frame}}, 1, x, weight, bias, y);
}

void backward_data_by_lanes(const DataPlan& plan, const float* dy, const float* weight, float* dx) {
  const Conv2d& p = plan.p;
  // With a stride every phase writes a part of each line of dx: of so few images that the lines stay in the last-level
  // cache meanwhile, and so many that packing the weights for them does not count.
  constexpr int64_t kept = 1 << 20;
  const int64_t image = p.x_count() / std::max<int64_t>(p.N, 1), at_once = std::max(kept, 4 * p.weight_count());
  const int64_t images = plan.w.size() > 1 && image > 0 ? std::clamp<int64_t>(at_once / image, 1, p.N) : p.N;
  for (int64_t n = 0; n < p.N; n += images) {
    backward_data_frames(p, plan.h, plan.w, {std::min(images, p.N - n), 1, 1, {one_frame}}, 1,
                         dy + n * (p.y_count() / p.N), weight, dx + n * image);
  }
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
