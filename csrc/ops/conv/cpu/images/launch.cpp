// Convolution with the images of the batch as the vector: for few channels and filters, and for images too narrow to
// fill vectors with columns.
#include <algorithm>
#include <limits>
#include <vector>

#include "cpu/costs.h"
#include "cpu/gemm/kernels.h"
#include "cpu/parallel.h"
#include "ops/conv/cpu/images/images.h"
#include "ops/conv/cpu/images/tiling.h"
#include "ops/conv/cpu/ways.h"

namespace dip::cpu {

using std::int64_t;

namespace {

// What a core's second-level cache holds for certain.
constexpr int64_t second_level_vectors = 8192;

// How many lines of the sums of a piece of the rows are computed at a time.
int64_t lines_at_once(int64_t part_rows, int64_t columns, int64_t positions) {
  return std::clamp<int64_t>(sums_at_most / (part_rows * columns), 1, positions);
}

// The tiling of the product, where a piece of the columns takes a step for every tap that one of them meets.
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

// What a product reads and writes: images of `groups` × `channels` planes, and of `groups` × `rows`.
struct ImageMaps {
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

void product_by_images(int64_t images, const ImageMaps& maps, const TapAxis& h, const TapAxis& w,
                       const ImageTiling& tiling, const WeightMatrix& matrix, const float* bias,
                       const ActivationSpec& activation, const Pooling& pool = {}) {
  const ImageKernels& kernels = image_kernels();
  const int64_t plane = maps.height * maps.width, out_lines = h.positions() / pool.height;
  const int64_t out_plane = out_lines * (w.positions() / pool.width);
  if (images == 0 || out_plane == 0) return;
  const Units units(images, maps.groups, out_lines);
  const int64_t longest = units.longest() * pool.height;
  const HeldPlanes held(Held(h, longest), Held(w, w.positions()));
  static thread_local Scratch packed_scratch;
  const PreparedProduct prepared(h, w, tiling, maps.groups, maps.rows, maps.channels, matrix, held, longest,
                                 pool.height, packed_scratch);
  parallel_for(units.blocks * maps.groups * units.pieces, [&](int64_t task) {
    const int64_t piece = task % units.pieces, g = task / units.pieces % maps.groups;
    const int64_t first = task / units.pieces / maps.groups * packing_kernels().lanes;
    const int64_t some = std::min(packing_kernels().lanes, images - first);
    const int64_t begin = units.begin(piece) * pool.height, end = units.begin(piece + 1) * pool.height;
    static thread_local Scratch held_scratch, sums_scratch;
    float* source = held_scratch.floats(maps.channels * held.plane);
    held.interleave(maps.source + (first * maps.groups + g) * maps.channels * plane,
                    maps.groups * maps.channels * plane, some, maps.channels, maps.height, maps.width,
                    begin * h.step + held.lines.first, Held(h, end - begin).extent, source);
    ImageProduct product = prepared.of(g, source, begin, some);
    const int64_t out = (first * maps.groups + g) * maps.rows * out_plane;
    product.out = maps.out + out;
    product.out_image = maps.groups * maps.rows * out_plane;
    product.out_plane = out_plane;
    product.bias = bias ? bias + g * maps.rows : nullptr;
    product.activation = activation;
    product.pool_h = pool.height;
    product.pool_w = pool.width;
    product.indices = pool.indices ? pool.indices + out : nullptr;
    kernels.product(product, begin, end, sums_scratch.floats(prepared.sums_floats()));
  });
}

}  // namespace

double images_cost(int64_t images, double products, int64_t moved) {
  const int64_t lanes = packing_kernels().lanes;
  const double filled = static_cast<double>(images) / static_cast<double>(divide_up(images, lanes) * lanes);
  return images == 0 ? 0.0
                     : (costs().images_product * products + costs().images_move * static_cast<double>(moved)) / filled;
}

namespace {

ImageSteps product_steps(const TapAxis& h, const TapAxis& w, int64_t rows, int64_t channels) {
  const Tiling tiling = product_tiling(rows, w);
  const int64_t columns = Held(w, w.positions()).extent;
  const int64_t lines = lines_at_once(divide_up(rows, tiling.row_pieces), w.positions(), h.positions());
  double steps = static_cast<double>(channels * h.meetings()) * tiling.cost;
  if (channels * Held(h, lines).extent * columns > second_level_vectors) {
    steps += costs().images_distance *
             static_cast<double>(tiling.row_pieces * channels * Held(h, h.positions()).extent * columns);
  }
  return {steps, tiling};
}

}  // namespace

const ImageSteps& image_steps(ForwardPlan& plan) {
  if (!plan.images) plan.images = product_steps(plan.h, plan.w, plan.p.group_filters(), plan.p.group_channels());
  return *plan.images;
}

const ImageSteps& image_steps(DataPlan& plan) {
  if (!plan.images) {
    plan.images = product_steps(plan.h[0].axis, plan.w[0].axis, plan.p.group_channels(), plan.p.group_filters());
  }
  return *plan.images;
}

Held::Held(const TapAxis& axis, int64_t positions) {
  const auto [least, most] = std::minmax_element(axis.shift.begin(), axis.shift.end());
  first = *least;
  extent = (positions - 1) * axis.step + *most - *least + 1;
}

HeldPlanes::HeldPlanes(const Held& lines_, const Held& columns_)
    : lines(lines_), columns(columns_), line(columns_.extent * packing_kernels().lanes), plane(lines_.extent * line) {}

std::vector<int64_t> HeldPlanes::offsets(int64_t channels, const TapAxis& h, const TapAxis& w) const {
  std::vector<int64_t> offsets;
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t r : h.shift) {
      for (int64_t s : w.shift) {
        offsets.push_back(c * plane + (r - lines.first) * line + (s - columns.first) * packing_kernels().lanes);
      }
    }
  }
  return offsets;
}

void HeldPlanes::interleave(const float* planes, int64_t image, int64_t images, int64_t channels, int64_t height,
                            int64_t width, int64_t first, int64_t count, float* to) const {
  const ImageKernels& kernels = image_kernels();
  const int64_t begin = std::max<int64_t>(columns.first, 0), end = std::min(columns.first + columns.extent, width);
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t i = 0; i < count; ++i) {
      const int64_t y = first + i;
      float* row = to + c * plane + i * line;
      if (y < 0 || y >= height || begin >= end) {
        std::fill(row, row + line, 0.0f);
        continue;
      }
      float *inside = row + (begin - columns.first) * packing_kernels().lanes,
            *behind = inside + (end - begin) * packing_kernels().lanes;
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

PreparedProduct::PreparedProduct(const TapAxis& h_, const TapAxis& w_, const ImageTiling& tiling_, int64_t groups,
                                 int64_t rows_, int64_t channels_, const WeightMatrix& matrix, const HeldPlanes& held,
                                 int64_t positions, int64_t pool_h, Scratch& packed_scratch)
    : h(h_),
      w(w_),
      rows(rows_),
      channels(channels_),
      tiling(tiling_),
      offsets(held.offsets(channels_, h_, w_)),
      part_rows(divide_up(rows_, tiling.row_pieces)),
      source_line(held.line) {
  float* to = packed_scratch.floats(groups * rows * static_cast<int64_t>(matrix.columns.size()));
  packed = to;
  for (int64_t g = 0; g < groups; ++g) {
    for (int64_t part = 0; part < tiling.row_pieces; ++part) {
      const int64_t begin = part * rows / tiling.row_pieces, end = (part + 1) * rows / tiling.row_pieces;
      for (int64_t column : matrix.columns) {
        for (int64_t m = begin; m < end; ++m) *to++ = matrix.weight[g * matrix.group + m * matrix.row + column];
      }
    }
  }
  // A tile that moves down one line meets most of what it met there before, if so few channels are still in the cache.
  const int64_t tile_columns = divide_up(w.positions(), tiling.column_pieces);
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
  product.source_column = w.step * packing_kernels().lanes;
  product.sums_rows = sums_rows;
  product.channels_at_once = channels_at_once;
  product.images = images;
  return product;
}

int64_t PreparedProduct::sums_floats() const {
  return part_rows * sums_rows * w.positions() * packing_kernels().lanes;
}

namespace {

// The steps of a plan, and all of x and y moved.
template <class Plan>
double plan_cost(Plan& plan) {
  const Conv2d& p = plan.p;
  const Axis &h = p.window.h, &w = p.window.w;
  return images_cost(p.N, image_steps(plan).count,
                     p.group_channels() * h.input * w.input + p.group_filters() * h.output * w.output);
}

void run_forward(const ForwardPlan& plan, const float* x, const float* weight, const float* bias, float* y,
                 const Pooling& pool) {
  const Conv2d& p = plan.p;
  product_by_images(p.N,
                    {
                        .source = x,
                        .groups = p.groups,
                        .channels = p.group_channels(),
                        .height = p.window.h.input,
                        .width = p.window.w.input,
                        .out = y,
                        .rows = p.group_filters(),
                    },
                    plan.h, plan.w, plan.images->tiling, forward_matrix(p, weight), bias, p.activation, pool);
}

}  // namespace

double forward_images_cost(ForwardPlan& plan) {
  return plan_cost(plan);
}

double backward_data_images_cost(DataPlan& plan) {
  return plan.p.window.h.stride * plan.p.window.w.stride == 1 ? plan_cost(plan) : impossible;
}

double backward_weight_images_cost(WeightPlan& plan) {
  return plan_cost(plan);
}

void forward_by_images(const ForwardPlan& plan, const float* x, const float* weight, const float* bias, float* y) {
  run_forward(plan, x, weight, bias, y, {});
}

void forward_pooled_by_images(const ForwardPlan& plan, const Window2d& pool, const float* x, const float* weight,
                              const float* bias, float* y, std::int32_t* indices) {
  run_forward(plan, x, weight, bias, y, {pool.h.kernel, pool.w.kernel, indices});
}

// For stride 1.
void backward_data_by_images(const DataPlan& plan, const float* dy, const float* weight, float* dx) {
  const Conv2d& p = plan.p;
  product_by_images(p.N,
                    {
                        .source = dy,
                        .groups = p.groups,
                        .channels = p.group_filters(),
                        .height = p.window.h.output,
                        .width = p.window.w.output,
                        .out = dx,
                        .rows = p.group_channels(),
                    },
                    plan.h[0].axis, plan.w[0].axis, plan.images->tiling, backward_matrix(p, weight), nullptr, {});
}

}  // namespace dip::cpu
