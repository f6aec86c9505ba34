// Convolution with the images of the batch as the vector: for few channels and filters, and for images too narrow to
// fill vectors with columns.
#include <algorithm>
#include <limits>
#include <vector>

#include "core/parallel.h"
#include "core/scratch.h"
#include "ops/conv/kernels.h"
#include "ops/conv/tap_axis.h"
#include "ops/conv/ways.h"

namespace dip::cpu {
namespace {

using std::int64_t;

constexpr int64_t units_wanted = 4;  // of the work, each with its own copy of the source
// Vectors that a tile goes over again and again, in the first-level cache; and sums, which it comes back to a few
// times, in the second.
constexpr int64_t held_at_most = 192, sums_at_most = 1024;
// Measured on a Zen 4, in multiply-adds: what a number costs that is moved between images and vectors, what a sum costs
// that is added to in memory, and a multiply-add of a tile, since its loads are not always in time.
constexpr double cost_of_moving = 18.0, cost_of_sum = 4.0, cost_of_product = 1.1;

struct Tiling : ImageTiling {
  double cost;  // in multiply-adds of a vector
};

// A tile's step takes as long as its multiply-adds, or its loads, or the time a sum needs before it can be added to
// again.
int64_t step_cost(int64_t rows, int64_t columns) {
  return std::max({rows * columns, rows + columns, int64_t{8}});
}

// The cheapest way to cut rows × columns of sums into tiles: `cost_of(rows, pieces)` is that of a part.
template <class Cost>
Tiling best_tiling(int64_t rows, int64_t columns, const Cost& cost_of) {
  const ConvKernels& kernels = conv_kernels();
  const int64_t fewest_parts = divide_up(rows, kernels.image_rows);
  Tiling best{{0, 0}, std::numeric_limits<double>::infinity()};
  for (int64_t parts = fewest_parts; parts <= std::min(2 * fewest_parts, rows); ++parts) {
    const int64_t r = divide_up(rows, parts), fewest = divide_up(columns, kernels.image_columns(static_cast<int>(r)));
    for (int64_t pieces = fewest; pieces <= std::min(fewest + 1, columns); ++pieces) {
      const double cost = static_cast<double>(parts * cost_of(r, pieces));
      if (cost < best.cost) best = {{parts, pieces}, cost};
    }
  }
  return best;
}

// For the product, where a piece of the columns takes a step for every tap that one of them meets.
Tiling product_tiling(int64_t rows, const TapAxis& w) {
  return best_tiling(rows, w.positions(), [&](int64_t r, int64_t pieces) {
    int64_t sum = 0;
    for (int64_t piece = 0; piece < pieces; ++piece) {
      const int64_t begin = piece * w.positions() / pieces, end = (piece + 1) * w.positions() / pieces;
      TapRange all = w.taps[begin];
      for (int64_t j = begin; j < end; ++j) {
        all = {std::min(all.first, w.taps[j].first), std::max(all.last, w.taps[j].last)};
      }
      sum += (all.last - all.first) * step_cost(r, end - begin);
    }
    return sum;
  });
}

// For the gradient, where each takes one.
Tiling gradient_tiling(int64_t rows, int64_t depth) {
  return best_tiling(rows, depth, [&](int64_t r, int64_t pieces) {
    const int64_t longer = depth % pieces, length = depth / pieces;
    return longer * step_cost(r, length + 1) + (pieces - longer) * step_cost(r, length);
  });
}

// So many lines of a part's filters stay in the first-level cache for all taps.
int64_t gradient_lines(int64_t filters, const ImageTiling& tiling, int64_t columns) {
  return std::max<int64_t>(held_at_most / (divide_up(filters, tiling.parts) * columns), 1);
}

// One direction of the source as it is held: beginning with what the first tap of the first position meets.
struct Held {
  int64_t first, extent;

  Held(const TapAxis& axis, int64_t positions) {
    const auto [least, most] = std::minmax_element(axis.shift.begin(), axis.shift.end());
    first = *least;
    extent = (positions - 1) * axis.step + *most - *least + 1;
  }
};

// The lines from `first` of a plane of so many images, with zeros around it where they are outside, to vectors.
void interleave_lines(const float* plane, int64_t image, int64_t images, int64_t height, int64_t width, int64_t first,
                      int64_t lines, const Held& columns, float* to) {
  const ConvKernels& kernels = conv_kernels();
  const int64_t W = kernels.lanes, line = columns.extent * W;
  const int64_t begin = std::max<int64_t>(columns.first, 0), end = std::min(columns.first + columns.extent, width);
  for (int64_t i = 0; i < lines; ++i, to += line) {
    const int64_t y = first + i;
    if (y < 0 || y >= height || begin >= end) {
      std::fill(to, to + line, 0.0f);
      continue;
    }
    float* inside = to + (begin - columns.first) * W;
    std::fill(to, inside, 0.0f);
    std::fill(inside + (end - begin) * W, to + line, 0.0f);
    kernels.interleave(plane + y * width + begin, image, images, end - begin, inside);
  }
}

// The blocks of images, and their pieces along the height, that are the units of work.
struct Units {
  int64_t blocks, pieces, height;

  Units(int64_t images, int64_t groups, int64_t height_)
      : blocks(divide_up(images, conv_kernels().lanes)),
        pieces(std::min(height_, divide_up(units_wanted, std::max<int64_t>(blocks * groups, 1)))),
        height(height_) {}

  int64_t begin(int64_t piece) const { return piece * height / pieces; }
  int64_t longest() const { return divide_up(height, pieces); }
};

double cost(const Conv2d& p, double products, int64_t source, int64_t results) {
  const int64_t lanes = conv_kernels().lanes;
  const double filled = static_cast<double>(p.N) / static_cast<double>(divide_up(p.N, lanes) * lanes);
  return p.N == 0 ? 0.0
                  : (cost_of_product * products + cost_of_moving * static_cast<double>(source + results)) / filled;
}

double product_cost(const Conv2d& p, int64_t rows, int64_t channels, const TapAxis& h, const TapAxis& w,
                    int64_t source_plane) {
  const double steps = static_cast<double>(channels * h.meetings());
  return cost(p, steps * product_tiling(rows, w).cost, channels * source_plane, rows * h.positions() * w.positions());
}

// What a product reads and writes: images of `groups` × `channels` planes, and of `groups` × `rows`.
struct Planes {
  const float* source;
  int64_t groups, channels, height, width;
  float* out;
  int64_t rows;
};

// Where the elements of the matrix lie: of each group, of each row, and of each [c, r, s] of it.
struct Matrix {
  const float* weight;
  int64_t group, row;
  std::vector<int64_t> columns;
};

void product_by_images(int64_t images, const Planes& planes, const TapAxis& h, const TapAxis& w, const Matrix& matrix,
                       const float* bias, const ActivationSpec& activation) {
  const ConvKernels& kernels = conv_kernels();
  const int64_t lanes = kernels.lanes, rows = planes.rows, depth = planes.channels * h.count() * w.count();
  const int64_t plane = planes.height * planes.width, out_plane = h.positions() * w.positions();
  const Tiling tiling = product_tiling(rows, w);
  if (images == 0 || out_plane == 0) return;

  static thread_local Scratch packed_scratch;
  float* packed = packed_scratch.floats(planes.groups * rows * depth);
  for (int64_t g = 0, at = 0; g < planes.groups; ++g) {
    for (int64_t part = 0; part < tiling.parts; ++part) {
      const int64_t begin = part * rows / tiling.parts, end = (part + 1) * rows / tiling.parts;
      for (int64_t column : matrix.columns) {
        for (int64_t m = begin; m < end; ++m) packed[at++] = matrix.weight[g * matrix.group + m * matrix.row + column];
      }
    }
  }

  const Units units(images, planes.groups, h.positions());
  const Held lines(h, units.longest()), columns(w, w.positions());
  const int64_t held_line = columns.extent * lanes, held_plane = lines.extent * held_line;
  std::vector<int64_t> offsets;
  for (int64_t c = 0; c < planes.channels; ++c) {
    for (int64_t r : h.shift) {
      for (int64_t s : w.shift) {
        offsets.push_back(c * held_plane + (r - lines.first) * held_line + (s - columns.first) * lanes);
      }
    }
  }
  const int64_t part_rows = divide_up(rows, tiling.parts);
  // A tile that moves down one line meets most of what it met there before, if so few channels are still in the cache.
  const int64_t tile_columns = divide_up(w.positions(), tiling.pieces);
  const int64_t met = (lines.extent - (units.longest() - 1) * h.step) * (tile_columns * w.step + w.count());
  const int64_t channels_at_once = std::clamp<int64_t>(held_at_most / met, 1, planes.channels);
  const int64_t sums_rows = std::clamp<int64_t>(sums_at_most / (part_rows * w.positions()), 1, units.longest());
  parallel_for(units.blocks * planes.groups * units.pieces, [&](int64_t task) {
    const int64_t piece = task % units.pieces, g = task / units.pieces % planes.groups;
    const int64_t first = task / units.pieces / planes.groups * lanes, some = std::min(lanes, images - first);
    const int64_t begin = units.begin(piece), end = units.begin(piece + 1);
    static thread_local Scratch held_scratch, sums_scratch;
    float* held = held_scratch.floats(planes.channels * held_plane);
    const float* source = planes.source + (first * planes.groups + g) * planes.channels * plane;
    for (int64_t c = 0; c < planes.channels; ++c) {
      interleave_lines(source + c * plane, planes.groups * planes.channels * plane, some, planes.height, planes.width,
                       begin * h.step + lines.first, Held(h, end - begin).extent, columns, held + c * held_plane);
    }
    ImageProduct product{};
    product.tiling = tiling;
    product.packed = packed + g * rows * depth;
    product.source = held;
    product.offset = offsets.data();
    product.channels = planes.channels;
    product.tap_rows = h.count();
    product.tap_columns = w.count();
    product.rows = rows;
    product.row_taps = h.taps.data();
    product.column_taps = w.taps.data();
    product.grid_w = w.positions();
    product.source_begin = begin;
    product.source_row = h.step * held_line;
    product.source_column = w.step * lanes;
    product.sums_rows = sums_rows;
    product.channels_at_once = channels_at_once;
    product.images = some;
    product.out = planes.out + (first * planes.groups + g) * rows * out_plane;
    product.out_image = planes.groups * rows * out_plane;
    product.out_plane = out_plane;
    product.bias = bias ? bias + g * rows : nullptr;
    product.activation = activation;
    kernels.image_product(product, begin, end, sums_scratch.floats(part_rows * sums_rows * w.positions() * lanes));
  });
}

}  // namespace

double forward_images_cost(const Conv2d& p) {
  return product_cost(p, p.group_filters(), p.group_channels(), forward_axis(p.window.h), forward_axis(p.window.w),
                      p.window.h.input * p.window.w.input);
}

double backward_data_images_cost(const Conv2d& p) {
  if (p.window.h.stride * p.window.w.stride != 1) return std::numeric_limits<double>::infinity();
  return product_cost(p, p.group_channels(), p.group_filters(), backward_phase(p.window.h, 0).axis,
                      backward_phase(p.window.w, 0).axis, p.window.h.output * p.window.w.output);
}

double backward_weight_images_cost(const Conv2d& p) {
  const Axis &h = p.window.h, &w = p.window.w;
  const int64_t filters = p.group_filters(), depth = p.group_channels() * p.taps();
  const Tiling tiling = gradient_tiling(filters, depth);
  const double chunks = static_cast<double>(divide_up(h.output, gradient_lines(filters, tiling, w.output)));
  return cost(p,
              static_cast<double>(h.output * w.output) * tiling.cost +
                  cost_of_sum * chunks * static_cast<double>(filters * depth),
              p.group_channels() * h.input * w.input, filters * h.output * w.output);
}

void forward_by_images(const Conv2d& p, const float* x, const float* weight, const float* bias, float* y) {
  const int64_t rows = p.group_filters(), depth = p.group_channels() * p.taps();
  Matrix matrix{weight, rows * depth, depth, {}};
  for (int64_t k = 0; k < depth; ++k) matrix.columns.push_back(k);
  product_by_images(p.N, {x, p.groups, p.group_channels(), p.window.h.input, p.window.w.input, y, rows},
                    forward_axis(p.window.h), forward_axis(p.window.w), matrix, bias, p.activation);
}

// For stride 1.
void backward_data_by_images(const Conv2d& p, const float* dy, const float* weight, float* dx) {
  const int64_t rows = p.group_channels(), filters = p.group_filters(), taps = p.taps();
  Matrix matrix{weight, filters * rows * taps, taps, {}};
  for (int64_t k = 0; k < filters; ++k) {
    for (int64_t t = taps - 1; t >= 0; --t) matrix.columns.push_back(k * rows * taps + t);  // as the phase has them
  }
  product_by_images(p.N, {dy, p.groups, filters, p.window.h.output, p.window.w.output, dx, rows},
                    backward_phase(p.window.h, 0).axis, backward_phase(p.window.w, 0).axis, matrix, nullptr, {});
}

void backward_weight_by_images(const Conv2d& p, const float* dy, const float* x, float* dweight) {
  const Axis &h = p.window.h, &w = p.window.w;
  const ConvKernels& kernels = conv_kernels();
  const int64_t lanes = kernels.lanes, channels = p.group_channels(), filters = p.group_filters();
  const int64_t depth = channels * p.taps(), in_plane = h.input * w.input, out_plane = h.output * w.output;
  const TapAxis h_axis = forward_axis(h), w_axis = forward_axis(w);
  const Tiling tiling = gradient_tiling(filters, depth);

  const Units units(p.N, p.groups, h.output);
  const int64_t chunk = gradient_lines(filters, tiling, w.output);
  const Held lines(h_axis, units.longest()), columns(w_axis, w.output);
  const int64_t held_line = columns.extent * lanes, held_plane = lines.extent * held_line;
  std::vector<int64_t> taps, offsets;
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t r : h_axis.shift) {
      for (int64_t s : w_axis.shift) {
        taps.push_back(c * held_plane + (r - lines.first) * held_line + (s - columns.first) * lanes);
      }
    }
  }

  for (int64_t i = 0; i < chunk; ++i) {
    for (int64_t j = 0; j < w.output; ++j) offsets.push_back(i * h.stride * held_line + j * w.stride * lanes);
  }

  // A task adds up what it finds in several units; their number must not depend on that of the threads.
  const int64_t shares = std::min(units.blocks * units.pieces, pieces_wanted);
  static thread_local Scratch partial_scratch;
  float* partial = partial_scratch.floats(std::max<int64_t>(shares * p.K * depth, 1));
  parallel_for(shares * p.groups, [&](int64_t task) {
    const int64_t share = task % shares, g = task / shares, all = units.blocks * units.pieces;
    static thread_local Scratch x_scratch, dy_scratch, sums_scratch;
    float* x_held = x_scratch.floats(channels * held_plane);
    float* dy_held = dy_scratch.floats(filters * chunk * w.output * lanes);
    float* sums = sums_scratch.floats(filters * depth * lanes);
    std::fill(sums, sums + filters * depth * lanes, 0.0f);
    for (int64_t unit = share * all / shares; unit < (share + 1) * all / shares; ++unit) {
      const int64_t piece = unit % units.pieces, first = unit / units.pieces * lanes;
      const int64_t some = std::min(lanes, p.N - first), begin = units.begin(piece), end = units.begin(piece + 1);
      const float* x_planes = x + (first * p.C + g * channels) * in_plane;
      for (int64_t c = 0; c < channels; ++c) {
        interleave_lines(x_planes + c * in_plane, p.C * in_plane, some, h.input, w.input,
                         begin * h.stride + lines.first, Held(h_axis, end - begin).extent, columns,
                         x_held + c * held_plane);
      }
      for (int64_t i = begin; i < end; i += chunk) {
        const int64_t positions = std::min(chunk, end - i) * w.output;
        for (int64_t m = 0; m < filters; ++m) {
          kernels.interleave(dy + (first * p.K + g * filters + m) * out_plane + i * w.output, p.K * out_plane, some,
                             positions, dy_held + m * positions * lanes);
        }
        kernels.image_gradient({tiling, dy_held, positions * lanes, x_held + (i - begin) * h.stride * held_line,
                                taps.data(), offsets.data(), depth, filters, positions, sums});
      }
    }
    kernels.sum_lanes(sums, filters * depth, partial + (share * p.groups + g) * filters * depth);
  });
  constexpr int64_t grain = 512;
  parallel_ranges(p.K * depth, grain, [&](int64_t begin, int64_t end) {
    double sum[grain] = {};
    for (int64_t share = 0; share < shares; ++share) {
      for (int64_t i = begin; i < end; ++i) sum[i - begin] += partial[share * p.K * depth + i];
    }
    for (int64_t i = begin; i < end; ++i) dweight[i] = static_cast<float>(sum[i - begin]);
  });
}

}  // namespace dip::cpu
