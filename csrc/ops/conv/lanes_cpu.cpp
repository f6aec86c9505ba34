// Convolution with the filters, or backward the channels, as the vector: nothing is copied, nothing padded.
#include <algorithm>
#include <vector>

#include "core/parallel.h"
#include "core/scratch.h"
#include "ops/conv/kernels.h"
#include "ops/conv/tap_axis.h"
#include "ops/conv/ways.h"

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
void pack_groups(const float* matrix, int64_t groups, int64_t group_stride, int64_t rows, int64_t row_stride,
                 const std::vector<int64_t>& columns, int64_t step, float* packed) {
  const ConvKernels& kernels = conv_kernels();
  const int64_t panels = divide_up(rows, kernels.lanes), depth = static_cast<int64_t>(columns.size());
  const int64_t parts = divide_up(depth, step), grain = divide_up(256, step);
  parallel_ranges(groups * parts, grain, [&](int64_t part, int64_t end) {
    for (; part < end; ++part) {
      const int64_t g = part / parts, begin = part % parts * step;
      for (int64_t panel = 0; panel < panels; ++panel) {
        const int64_t first = panel * kernels.lanes;
        kernels.pack_lanes(matrix + g * group_stride + first * row_stride, row_stride, columns.data() + begin,
                           std::min(kernels.lanes, rows - first), std::min(step, depth - begin),
                           packed + ((g * panels + panel) * depth + begin) * kernels.lanes);
      }
    }
  });
}

int64_t packed_floats(int64_t groups, int64_t rows, int64_t depth) {
  return groups * divide_up(rows, conv_kernels().lanes) * conv_kernels().lanes * depth;
}

// Runs `product(image, group)` for all of them. A task uses two panels of the matrix for so many images that reading
// the panels from memory does not count; neighbouring tasks read the same images.
template <class Product>
void run_products(int64_t images, int64_t groups, int64_t grid_h, const Product& product) {
  if (images == 0 || grid_h == 0) return;
  const ConvKernels& kernels = conv_kernels();
  const LaneProduct any = product(0, 0);
  const int64_t two_panels = 2 * kernels.lanes, pairs = divide_up(any.rows, two_panels);
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
    kernels.lane_product(some, pair * two_panels, std::min(any.rows, (pair + 1) * two_panels), grid,
                         std::min(grid_h, grid + grid_step));
  });
}

// What the product of one image and group costs, in multiply-adds. The fewer the taps, the fewer of them every line of
// the source serves that a tile fetches; a single panel makes one multiply-add of every broadcast, and loads become the
// limit; and the results of a tile are transposed, which takes as long as 28 steps of its depth. The numbers were
// measured on a Zen 5.
double cost(int64_t rows, int64_t channels, const TapAxis& h, const TapAxis& w) {
  const int64_t panels = divide_up(rows, conv_kernels().lanes);
  const double lanes = static_cast<double>(panels * conv_kernels().lanes) * (panels == 1 ? 1.2 : 1.0);
  const double depth = static_cast<double>(channels * h.meetings() * w.meetings());
  const double taps = static_cast<double>(std::max<int64_t>(h.count() * w.count(), 1));
  const double positions = static_cast<double>(h.positions() * w.positions());
  return lanes * (depth * (1.0 + 0.25 * static_cast<double>(w.step) / taps) + 28.0 * positions);
}

}  // namespace

double forward_lanes_cost(const Conv2d& p) {
  return cost(p.group_filters(), p.group_channels(), forward_axis(p.window.h), forward_axis(p.window.w));
}

double backward_data_lanes_cost(const Conv2d& p) {
  double sum = 0.0;
  for (int64_t first_h : met_phases(p.window.h)) {
    const TapAxis h = backward_phase(p.window.h, first_h).axis;
    for (int64_t first_w : met_phases(p.window.w)) {
      sum += cost(p.group_channels(), p.group_filters(), h, backward_phase(p.window.w, first_w).axis);
    }
  }
  return sum;
}

void forward_by_lanes(const Conv2d& p, const float* x, const float* weight, const float* bias, float* y) {
  const Axis &h = p.window.h, &w = p.window.w;
  const int64_t channels = p.group_channels(), rows = p.group_filters(), depth = channels * p.taps();
  const int64_t in_plane = h.input * w.input, out_plane = h.output * w.output;
  std::vector<int64_t> columns(depth);
  for (int64_t k = 0; k < depth; ++k) columns[k] = k;
  const TapAxis h_axis = forward_axis(h), w_axis = forward_axis(w);
  const std::vector<int64_t> offsets = offsets_of(channels, in_plane, w.input, h_axis, w_axis);

  static thread_local Scratch packed_scratch;
  float* packed = packed_scratch.floats(packed_floats(p.groups, rows, depth));
  pack_groups(weight, p.groups, rows * depth, rows, depth, columns, 256, packed);
  run_products(p.N, p.groups, h.output, [&](int64_t image, int64_t g) {
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

void backward_data_by_lanes(const Conv2d& p, const float* dy, const float* weight, float* dx) {
  const Axis &h = p.window.h, &w = p.window.w;
  const int64_t rows = p.group_channels(), filters = p.group_filters(), taps = p.taps();
  const int64_t in_plane = h.input * w.input, out_plane = h.output * w.output;
  static thread_local Scratch packed_scratch;
  for (int64_t first_h : met_phases(h)) {
    const TapPhase down = backward_phase(h, first_h);
    for (int64_t first_w : met_phases(w)) {
      const TapPhase across = backward_phase(w, first_w);
      std::vector<int64_t> columns;
      for (int64_t k = 0; k < filters; ++k) {
        for (int64_t r : down.taps) {
          for (int64_t s : across.taps) columns.push_back(k * rows * taps + r * w.kernel + s);
        }
      }
      const std::vector<int64_t> offsets = offsets_of(filters, out_plane, w.output, down.axis, across.axis);
      const int64_t depth = static_cast<int64_t>(columns.size());
      float* packed = packed_scratch.floats(packed_floats(p.groups, rows, depth));
      pack_groups(weight, p.groups, filters * rows * taps, rows, taps, columns, down.axis.count() * across.axis.count(),
                  packed);
      run_products(p.N, p.groups, down.axis.positions(), [&](int64_t image, int64_t g) {
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

}  // namespace dip::cpu
