// Convolution with the filters, or backward the channels, as the vector: nothing is copied, nothing padded.
#include <algorithm>
#include <vector>

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

std::vector<int64_t> offsets_of(int64_t channels, int64_t plane, int64_t width, const TapAxis& h, const TapAxis& w) {
  std::vector<int64_t> offsets;
  offsets.reserve(channels * h.count() * w.count());
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t r : h.shift) {
      for (int64_t s : w.shift) offsets.push_back(c * plane + r * width + s);
    }
  }
  return offsets;
}

// Packs the rows of `groups` matrices, `step` columns of all rows at a time: so a matrix is read nearly as it lies.
void pack_lane_rows(const float* matrix, int64_t groups, int64_t group_stride, int64_t rows, int64_t row_stride,
                    const std::vector<int64_t>& columns, int64_t step, float* packed) {
  const int64_t panels = divide_up(rows, packing_kernels().lanes), depth = static_cast<int64_t>(columns.size());
  const int64_t parts = divide_up(depth, step), grain = divide_up(256, step);
  parallel_ranges(groups * parts, grain, [&](int64_t part, int64_t end) {
    for (; part < end; ++part) {
      const int64_t g = part / parts, begin = part % parts * step;
      for (int64_t panel = 0; panel < panels; ++panel) {
        const int64_t first = panel * packing_kernels().lanes;
        packing_kernels().pack_lanes(matrix + g * group_stride + first * row_stride, row_stride, columns.data() + begin,
                                     std::min(packing_kernels().lanes, rows - first), std::min(step, depth - begin),
                                     packed + ((g * panels + panel) * depth + begin) * packing_kernels().lanes);
      }
    }
  });
}

int64_t packed_floats(int64_t groups, int64_t rows, int64_t depth) {
  return groups * divide_up(rows, packing_kernels().lanes) * packing_kernels().lanes * depth;
}

// Runs `product(image, group)` for all of them. A task uses two panels of the matrix for so many images that reading
// the panels from memory does not count; neighbouring tasks read the same images.
template <class Product>
void run_lane_products(int64_t images, int64_t groups, int64_t grid_h, const Product& product) {
  if (images == 0 || grid_h == 0) return;
  const LaneKernels& kernels = lane_kernels();
  const LaneProduct any = product(0, 0);
  const int64_t two_panels = 2 * packing_kernels().lanes, pairs = divide_up(any.rows, two_panels);
  const int64_t depth = any.channels * any.tap_rows * any.tap_columns, panel_floats = two_panels * depth;
  const int64_t results = images * groups * any.rows * grid_h * any.grid_w;
  const int64_t wanted = divide_up(pieces_of(results, depth), groups * pairs);
  const int64_t amortized = divide_up(std::max<int64_t>(panel_floats, 1 << 17), any.source_image);
  const int64_t image_step = std::min(divide_up(images, std::min(images, wanted)), amortized);
  const int64_t image_pieces = divide_up(images, image_step);
  const int64_t grid_step = divide_up(grid_h, std::min(grid_h, divide_up(wanted, image_pieces)));
  const int64_t grid_pieces = divide_up(grid_h, grid_step);
  parallel_for(groups * pairs * image_pieces * grid_pieces, [&](int64_t task) {
    const int64_t pair = task % pairs, g = task / pairs % groups;
    const int64_t grid = task / pairs / groups % grid_pieces * grid_step;
    const int64_t first = task / pairs / groups / grid_pieces * image_step;
    LaneProduct some = product(first, g);
    some.images = std::min(images - first, image_step);
    kernels.product(some, pair * two_panels, std::min(any.rows, (pair + 1) * two_panels), grid,
                    std::min(grid_h, grid + grid_step));
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

void forward_by_lanes(const ForwardPlan& plan, const float* x, const float* weight, const float* bias, float* y) {
  const Conv2d& p = plan.p;
  const Axis &h = p.window.h, &w = p.window.w;
  const int64_t channels = p.group_channels(), rows = p.group_filters(), depth = channels * p.taps();
  const int64_t in_plane = h.input * w.input, out_plane = h.output * w.output;
  std::vector<int64_t> columns(depth);
  for (int64_t k = 0; k < depth; ++k) columns[k] = k;
  const TapAxis &h_axis = plan.h, &w_axis = plan.w;
  const std::vector<int64_t> offsets = offsets_of(channels, in_plane, w.input, h_axis, w_axis);

  static thread_local Scratch packed_scratch;
  float* packed = packed_scratch.floats(packed_floats(p.groups, rows, depth));
  pack_lane_rows(weight, p.groups, rows * depth, rows, depth, columns, 256, packed);
  run_lane_products(p.N, p.groups, h.output, [&](int64_t image, int64_t g) {
    LaneProduct product{};
    product.packed = packed + g * packed_floats(1, rows, depth);
    product.source = x + (image * p.C + g * channels) * in_plane;
    product.offset = offsets.data();
    product.channels = channels;
    product.tap_rows = h.kernel;
    product.tap_columns = w.kernel;
    product.rows = rows;
    product.source_image = p.C * in_plane;
    product.source_row = h.stride * w.input;
    product.source_column = w.stride;
    product.row_taps = h_axis.taps.data();
    product.column_taps = w_axis.taps.data();
    product.grid_w = w.output;
    product.out = y + (image * p.K + g * rows) * out_plane;
    product.out_image = p.K * out_plane;
    product.out_plane = out_plane;
    product.out_row = w.output;
    product.out_column = 1;
    product.bias = bias ? bias + g * rows : nullptr;
    product.activation = p.activation;
    return product;
  });
}

void backward_data_by_lanes(const DataPlan& plan, const float* dy, const float* weight, float* dx) {
  const Conv2d& p = plan.p;
  const Axis &h = p.window.h, &w = p.window.w;
  const int64_t rows = p.group_channels(), filters = p.group_filters(), taps = p.taps();
  const int64_t in_plane = h.input * w.input, out_plane = h.output * w.output;
  static thread_local Scratch packed_scratch;
  for (const TapPhase& down : plan.h) {
    for (const TapPhase& across : plan.w) {
      std::vector<int64_t> columns;
      for (int64_t k = 0; k < filters; ++k) {
        for (int64_t r : down.taps) {
          for (int64_t s : across.taps) columns.push_back(k * rows * taps + r * w.kernel + s);
        }
      }
      const std::vector<int64_t> offsets = offsets_of(filters, out_plane, w.output, down.axis, across.axis);
      const int64_t depth = static_cast<int64_t>(columns.size());
      float* packed = packed_scratch.floats(packed_floats(p.groups, rows, depth));
      pack_lane_rows(weight, p.groups, filters * rows * taps, rows, taps, columns,
                     down.axis.count() * across.axis.count(), packed);
      run_lane_products(p.N, p.groups, down.axis.positions(), [&](int64_t image, int64_t g) {
        LaneProduct product{};
        product.packed = packed + g * packed_floats(1, rows, depth);
        product.source = dy + (image * p.K + g * filters) * out_plane;
        product.offset = offsets.data();
        product.channels = filters;
        product.tap_rows = down.axis.count();
        product.tap_columns = across.axis.count();
        product.rows = rows;
        product.source_image = p.K * out_plane;
        product.source_row = w.output;
        product.source_column = 1;
        product.row_taps = down.axis.taps.data();
        product.column_taps = across.axis.taps.data();
        product.grid_w = across.axis.positions();
        product.out = dx + (image * p.C + g * rows) * in_plane + down.first * w.input + across.first;
        product.out_image = p.C * in_plane;
        product.out_plane = in_plane;
        product.out_row = h.stride * w.input;
        product.out_column = w.stride;
        return product;
      });
    }
  }
}

// With the filters as the vector: dy is copied into panels of them, x is read in place, or from a padded copy.
void backward_weight_by_lanes(const WeightPlan& plan, const float* dy, const float* x, float* dweight) {
  const Conv2d& p = plan.p;
  const Axis &h = p.window.h, &w = p.window.w;
  const LaneKernels& kernels = lane_kernels();
  const int64_t channels = p.group_channels(), filters = p.group_filters(), depth = channels * p.taps();
  const int64_t lines = h.input + h.pad_start + h.pad_end, columns = w.input + w.pad_start + w.pad_end;
  const bool padded = lines > h.input || columns > w.input;
  const int64_t in_plane = h.input * w.input, x_plane = lines * columns, positions = h.output * w.output;
  const int64_t panels = divide_up(filters, packing_kernels().lanes), panel = positions * packing_kernels().lanes;

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
  const int64_t tap_step = std::max(divide_up(depth, pieces), std::min(depth, packing_kernels().lane_columns));
  const int64_t tap_pieces = divide_up(depth, tap_step);
  for (int64_t first = 0; first < p.N; first += batch) {
    const int64_t images = std::min(batch, p.N - first), own = padded ? p.C : 0;
    parallel_for(images * (own + p.groups * panels), [&](int64_t task) {
      const int64_t image = task % images, part = task / images;
      if (part < own) {
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
            x + ((first + image) * p.C + part) * in_plane, x_copy + (image * p.C + part) * x_plane);
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
      const float* source = padded ? x_copy : x + first * p.C * in_plane;
      static thread_local Scratch sums;
      const LaneGradient gradient{
          .left = dy_copy + g * panels * batch * panel,
          .left_panel = batch * panel,
          .right = source + g * channels * x_plane,
          .images = images,
          .right_image = p.C * x_plane,
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
