// Convolution with the images of the batch as the vector: for few channels and filters, and for images too narrow to
// fill vectors with columns.
#include <algorithm>
#include <limits>
#include <vector>

#include "core/parallel.h"
#include "ops/conv/images.h"
#include "ops/conv/ways.h"

namespace dip::cpu {

using std::int64_t;

namespace {

// Vectors that a tile goes over again and again, in the first-level cache; and sums, which it comes back to a few
// times, in the second.
constexpr int64_t held_at_most = 192, sums_at_most = 1024;

// What a core's second-level cache holds for certain, and what a vector costs that comes from farther away, in
// multiply-adds; measured on a Zen 4.
constexpr int64_t second_level_vectors = 8192;
constexpr double cost_of_distance = 4.0;

// So many lines of the sums of a part of the rows at a time.
int64_t lines_at_once(int64_t part_rows, int64_t columns, int64_t positions) {
  return std::clamp<int64_t>(sums_at_most / (part_rows * columns), 1, positions);
}

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

// What a product reads and writes: images of `groups` × `channels` planes, and of `groups` × `rows`.
struct Planes {
  const float* source;
  int64_t groups, channels, height, width;
  float* out;
  int64_t rows;
};

// The windows that max pooling makes of the results; without `indices` they stay as they are.
struct Pooling {
  int64_t height = 1, width = 1;
  std::int32_t* indices = nullptr;
};

void product_by_images(int64_t images, const Planes& planes, const TapAxis& h, const TapAxis& w,
                       const WeightMatrix& matrix, const float* bias, const ActivationSpec& activation,
                       const Pooling& pool = {}) {
  const ConvKernels& kernels = conv_kernels();
  const int64_t plane = planes.height * planes.width, out_lines = h.positions() / pool.height;
  const int64_t out_plane = out_lines * (w.positions() / pool.width);
  if (images == 0 || out_plane == 0) return;
  const Units units(images, planes.groups, out_lines);
  const int64_t longest = units.longest() * pool.height;
  const HeldPlanes held(Held(h, longest), Held(w, w.positions()));
  static thread_local Scratch packed_scratch;
  const PreparedProduct prepared(h, w, planes.groups, planes.rows, planes.channels, matrix, held, longest, pool.height,
                                 packed_scratch);
  parallel_for(units.blocks * planes.groups * units.pieces, [&](int64_t task) {
    const int64_t piece = task % units.pieces, g = task / units.pieces % planes.groups;
    const int64_t first = task / units.pieces / planes.groups * kernels.lanes;
    const int64_t some = std::min(kernels.lanes, images - first);
    const int64_t begin = units.begin(piece) * pool.height, end = units.begin(piece + 1) * pool.height;
    static thread_local Scratch held_scratch, sums_scratch;
    float* source = held_scratch.floats(planes.channels * held.plane);
    held.interleave(planes.source + (first * planes.groups + g) * planes.channels * plane,
                    planes.groups * planes.channels * plane, some, planes.channels, planes.height, planes.width,
                    begin * h.step + held.lines.first, Held(h, end - begin).extent, source);
    ImageProduct product = prepared.of(g, source, begin, some);
    const int64_t out = (first * planes.groups + g) * planes.rows * out_plane;
    product.out = planes.out + out;
    product.out_image = planes.groups * planes.rows * out_plane;
    product.out_plane = out_plane;
    product.bias = bias ? bias + g * planes.rows : nullptr;
    product.activation = activation;
    product.pool_h = pool.height;
    product.pool_w = pool.width;
    product.indices = pool.indices ? pool.indices + out : nullptr;
    kernels.image_product(product, begin, end, sums_scratch.floats(prepared.sums_floats()));
  });
}

}  // namespace

double images_cost(int64_t images, double products, int64_t moved) {
  const int64_t lanes = conv_kernels().lanes;
  const double filled = static_cast<double>(images) / static_cast<double>(divide_up(images, lanes) * lanes);
  return images == 0 ? 0.0 : (cost_of_product * products + cost_of_moving * static_cast<double>(moved)) / filled;
}

double image_product_steps(const TapAxis& h, const TapAxis& w, int64_t rows, int64_t channels) {
  const Tiling tiling = product_tiling(rows, w);
  const int64_t columns = Held(w, w.positions()).extent;
  const int64_t lines = lines_at_once(divide_up(rows, tiling.parts), w.positions(), h.positions());
  const double steps = static_cast<double>(channels * h.meetings()) * tiling.cost;
  if (channels * Held(h, lines).extent * columns <= second_level_vectors) return steps;
  return steps +
         cost_of_distance * static_cast<double>(tiling.parts * channels * Held(h, h.positions()).extent * columns);
}

double image_gradient_steps(const Conv2d& p) {
  const int64_t filters = p.group_filters(), depth = p.group_channels() * p.taps(), width = p.window.w.output;
  const Tiling tiling = gradient_tiling(filters, depth);
  const double chunks = static_cast<double>(divide_up(p.window.h.output, gradient_lines(filters, tiling, width)));
  return static_cast<double>(p.window.h.output * width) * tiling.cost +
         cost_of_sum * chunks * static_cast<double>(filters * depth);
}

Held::Held(const TapAxis& axis, int64_t positions) {
  const auto [least, most] = std::minmax_element(axis.shift.begin(), axis.shift.end());
  first = *least;
  extent = (positions - 1) * axis.step + *most - *least + 1;
}

HeldPlanes::HeldPlanes(const Held& lines_, const Held& columns_)
    : lines(lines_), columns(columns_), line(columns_.extent * conv_kernels().lanes), plane(lines_.extent * line) {}

std::vector<int64_t> HeldPlanes::offsets(int64_t channels, const TapAxis& h, const TapAxis& w) const {
  std::vector<int64_t> offsets;
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t r : h.shift) {
      for (int64_t s : w.shift) {
        offsets.push_back(c * plane + (r - lines.first) * line + (s - columns.first) * conv_kernels().lanes);
      }
    }
  }
  return offsets;
}

void HeldPlanes::interleave(const float* planes, int64_t image, int64_t images, int64_t channels, int64_t height,
                            int64_t width, int64_t first, int64_t count, float* to) const {
  const ConvKernels& kernels = conv_kernels();
  const int64_t begin = std::max<int64_t>(columns.first, 0), end = std::min(columns.first + columns.extent, width);
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t i = 0; i < count; ++i) {
      const int64_t y = first + i;
      float* row = to + c * plane + i * line;
      if (y < 0 || y >= height || begin >= end) {
        std::fill(row, row + line, 0.0f);
        continue;
      }
      float *inside = row + (begin - columns.first) * kernels.lanes, *behind = inside + (end - begin) * kernels.lanes;
      std::fill(row, inside, 0.0f);
      kernels.interleave(planes + (c * height + y) * width + begin, image, images, end - begin, inside);
      std::fill(behind, row + line, 0.0f);
    }
  }
}

WeightMatrix forward_matrix(const Conv2d& p, const float* weight) {
  const int64_t depth = p.group_channels() * p.taps();
  WeightMatrix matrix{weight, p.group_filters() * depth, depth, {}};
  for (int64_t k = 0; k < depth; ++k) matrix.columns.push_back(k);
  return matrix;
}

WeightMatrix backward_matrix(const Conv2d& p, const float* weight) {
  const int64_t rows = p.group_channels(), filters = p.group_filters(), taps = p.taps();
  WeightMatrix matrix{weight, filters * rows * taps, taps, {}};
  for (int64_t k = 0; k < filters; ++k) {
    for (int64_t t = taps - 1; t >= 0; --t) matrix.columns.push_back(k * rows * taps + t);  // as the phase has them
  }
  return matrix;
}

PreparedProduct::PreparedProduct(const TapAxis& h_, const TapAxis& w_, int64_t groups, int64_t rows_, int64_t channels_,
                                 const WeightMatrix& matrix, const HeldPlanes& held, int64_t positions, int64_t pool_h,
                                 Scratch& packed_scratch)
    : h(h_),
      w(w_),
      rows(rows_),
      channels(channels_),
      tiling(product_tiling(rows_, w_)),
      offsets(held.offsets(channels_, h_, w_)),
      part_rows(divide_up(rows_, tiling.parts)),
      source_line(held.line) {
  float* to = packed_scratch.floats(groups * rows * static_cast<int64_t>(matrix.columns.size()));
  packed = to;
  for (int64_t g = 0; g < groups; ++g) {
    for (int64_t part = 0; part < tiling.parts; ++part) {
      const int64_t begin = part * rows / tiling.parts, end = (part + 1) * rows / tiling.parts;
      for (int64_t column : matrix.columns) {
        for (int64_t m = begin; m < end; ++m) *to++ = matrix.weight[g * matrix.group + m * matrix.row + column];
      }
    }
  }
  // A tile that moves down one line meets most of what it met there before, if so few channels are still in the cache.
  const int64_t tile_columns = divide_up(w.positions(), tiling.pieces);
  const int64_t met = Held(h, 1).extent * (tile_columns * w.step + w.count());
  channels_at_once = std::clamp<int64_t>(held_at_most / met, 1, channels);
  sums_rows = lines_at_once(part_rows, w.positions(), positions) / pool_h * pool_h;
  sums_rows = std::max(sums_rows, pool_h);
}

ImageProduct PreparedProduct::of(int64_t group, const float* source, int64_t source_begin, int64_t images) const {
  ImageProduct product{};
  product.tiling = tiling;
  product.packed = packed + group * rows * static_cast<int64_t>(offsets.size());
  product.source = source;
  product.offset = offsets.data();
  product.channels = channels;
  product.tap_rows = h.count();
  product.tap_columns = w.count();
  product.rows = rows;
  product.row_taps = h.taps.data();
  product.column_taps = w.taps.data();
  product.grid_w = w.positions();
  product.source_begin = source_begin;
  product.source_row = h.step * source_line;
  product.source_column = w.step * conv_kernels().lanes;
  product.sums_rows = sums_rows;
  product.channels_at_once = channels_at_once;
  product.images = images;
  return product;
}

int64_t PreparedProduct::sums_floats() const {
  return part_rows * sums_rows * w.positions() * conv_kernels().lanes;
}

PreparedGradient::PreparedGradient(const Conv2d& p, const HeldPlanes& held_x, int64_t left_line)
    : tiling(gradient_tiling(p.group_filters(), p.group_channels() * p.taps())),
      filters(p.group_filters()),
      depth(p.group_channels() * p.taps()),
      lines(gradient_lines(filters, tiling, p.window.w.output)),
      taps(held_x.offsets(p.group_channels(), forward_axis(p.window.h), forward_axis(p.window.w))),
      right_line(p.window.h.stride * held_x.line),
      grid_w(p.window.w.output) {
  const int64_t lanes = conv_kernels().lanes;
  for (int64_t i = 0; i < lines; ++i) {
    for (int64_t j = 0; j < grid_w; ++j) {
      left_offsets.push_back(i * left_line + j * lanes);
      right_offsets.push_back(i * right_line + j * p.window.w.stride * lanes);
    }
  }
}

void PreparedGradient::run(const float* left, int64_t left_plane, const float* right, int64_t count, float* sums,
                           bool accumulate) const {
  conv_kernels().image_gradient({tiling, left, left_plane, right, taps.data(), left_offsets.data(),
                                 right_offsets.data(), depth, filters, count * grid_w, sums, accumulate});
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

double forward_images_cost(const Conv2d& p) {
  const Axis &h = p.window.h, &w = p.window.w;
  return images_cost(p.N, image_product_steps(forward_axis(h), forward_axis(w), p.group_filters(), p.group_channels()),
                     p.group_channels() * h.input * w.input + p.group_filters() * h.output * w.output);
}

double backward_data_images_cost(const Conv2d& p) {
  const Axis &h = p.window.h, &w = p.window.w;
  if (h.stride * w.stride != 1) return impossible;
  return images_cost(
      p.N,
      image_product_steps(backward_phase(h, 0).axis, backward_phase(w, 0).axis, p.group_channels(), p.group_filters()),
      p.group_channels() * h.input * w.input + p.group_filters() * h.output * w.output);
}

double backward_weight_images_cost(const Conv2d& p) {
  const Axis &h = p.window.h, &w = p.window.w;
  return images_cost(p.N, image_gradient_steps(p),
                     p.group_channels() * h.input * w.input + p.group_filters() * h.output * w.output);
}

void forward_by_images(const Conv2d& p, const float* x, const float* weight, const float* bias, float* y) {
  product_by_images(p.N, {x, p.groups, p.group_channels(), p.window.h.input, p.window.w.input, y, p.group_filters()},
                    forward_axis(p.window.h), forward_axis(p.window.w), forward_matrix(p, weight), bias, p.activation);
}

void forward_pooled_by_images(const Conv2d& p, const Window2d& pool, const float* x, const float* weight,
                              const float* bias, float* y, std::int32_t* indices) {
  product_by_images(p.N, {x, p.groups, p.group_channels(), p.window.h.input, p.window.w.input, y, p.group_filters()},
                    forward_axis(p.window.h), forward_axis(p.window.w), forward_matrix(p, weight), bias, p.activation,
                    {pool.h.kernel, pool.w.kernel, indices});
}

// For stride 1.
void backward_data_by_images(const Conv2d& p, const float* dy, const float* weight, float* dx) {
  product_by_images(
      p.N, {dy, p.groups, p.group_filters(), p.window.h.output, p.window.w.output, dx, p.group_channels()},
      backward_phase(p.window.h, 0).axis, backward_phase(p.window.w, 0).axis, backward_matrix(p, weight), nullptr, {});
}

void backward_weight_by_images(const Conv2d& p, const float* dy, const float* x, float* dweight) {
  const Axis &h = p.window.h, &w = p.window.w;
  const ConvKernels& kernels = conv_kernels();
  const int64_t lanes = kernels.lanes, channels = p.group_channels(), filters = p.group_filters();
  const int64_t in_plane = h.input * w.input, out_plane = h.output * w.output, depth = channels * p.taps();
  const TapAxis h_axis = forward_axis(h), w_axis = forward_axis(w);
  const Units units(p.N, p.groups, h.output);
  const HeldPlanes held(Held(h_axis, units.longest()), Held(w_axis, w.output));
  const PreparedGradient gradient(p, held, w.output * lanes);

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
