// Convolution by tiles whose vector runs along the columns: lays out the shifts, splits the work, and calls the
// kernels.
//
// The split depends on the shapes alone, never on the number of threads, and every piece writes its own results.
#include <algorithm>
#include <cmath>
#include <vector>

#include "cpu/costs.h"
#include "cpu/gemm/kernels.h"
#include "cpu/parallel.h"
#include "cpu/scratch.h"
#include "ops/conv/cpu/padded_input.h"
#include "ops/conv/cpu/tiles/kernels.h"
#include "ops/conv/cpu/ways.h"

namespace dip::cpu {
namespace {

using std::int64_t;

// Packs the rows of `groups` matrices, one panel a task.
void pack_tile_rows(const float* matrix, int64_t groups, int64_t group_stride, int64_t rows, int64_t row_stride,
                    const std::vector<int64_t>& columns, float* packed) {
  const int64_t block = packing_kernels().row_block, panels = divide_up(rows, block);
  const int64_t depth = static_cast<int64_t>(columns.size());
  parallel_for(groups * panels, [&](int64_t task) {
    const int64_t g = task / panels, first = task % panels * block;
    packing_kernels().pack_rows(matrix + g * group_stride + first * row_stride, row_stride, columns.data(),
                                std::min(block, rows - first), depth, packed + task * block * depth);
  });
}

// Which of the two ways to lay out the columns is cheaper, by what they waste. A product per image multiplies what lies
// between two rows too, and rounds every image up to whole tiles. One over all images copies its columns first.
bool pack_columns(int64_t images, int64_t rows, int64_t grid_h, int64_t grid_w, int64_t pitch) {
  const TileKernels& kernels = tile_kernels();
  const double block = static_cast<double>(kernels.column_block), positions = static_cast<double>(grid_h * grid_w);
  const double panels = static_cast<double>(divide_up(rows, packing_kernels().row_block));
  const double flat = static_cast<double>(pitch * (grid_h - 1) + grid_w);
  const double separate = static_cast<double>(images) * std::ceil(flat / block) * block;
  const double runs = block / static_cast<double>(grid_w) + 2.0;
  const double together = std::ceil(static_cast<double>(images) * positions / block) * block;
  return together * (1.0 + (runs + costs().tiles_run) / (panels * costs().tiles_panel)) < separate;
}

// What tiles cost for one image and group, in multiply-adds, with their share of padding, packing and scattering.
double tiles_cost(const Conv2d& p, int64_t rows, int64_t depth, int64_t grid_h, int64_t grid_w, int64_t pitch) {
  const TileKernels& kernels = tile_kernels();
  const int64_t flat = pitch * (grid_h - 1) + grid_w;
  const int64_t separate = divide_up(flat, kernels.column_block) * kernels.column_block;
  const double packed = costs().tiles_packed * static_cast<double>(grid_h * grid_w);
  const double columns = pack_columns(p.N, rows, grid_h, grid_w, pitch) ? packed : static_cast<double>(separate);
  const int64_t full = rows < packing_kernels().row_block
                           ? rows
                           : divide_up(rows, packing_kernels().row_block) * packing_kernels().row_block;
  const double result = p.is_pointwise() ? costs().tiles_in_place : costs().tiles_result;
  return costs().tiles_product * static_cast<double>(full) * columns * (static_cast<double>(depth) + result);
}

// Runs `product(image, group)` for every image and group, each cut into blocks of rows and columns where that is
// needed to give all threads work. The images lie `source_image` and `out_image` apart. Where `exact`, nothing may be
// read beyond the source, as scratch memory allows.
template <class Product>
void run_tile_products(int64_t images, int64_t groups, int64_t source_image, int64_t out_image, bool exact,
                       const Product& product) {
  const TileKernels& kernels = tile_kernels();
  const ShiftedProduct first = product(0, 0);
  const int64_t rows = first.rows, flat = first.pitch * (first.grid_h - 1) + first.grid_w;
  const bool together = exact || pack_columns(images, rows, first.grid_h, first.grid_w, first.pitch);
  const int64_t outer = together ? groups : images * groups;
  const int64_t all_columns = together ? images * first.grid_h * first.grid_w : flat;
  const int64_t panels = divide_up(rows, packing_kernels().row_block),
                spans = divide_up(all_columns, kernels.column_block);
  const int64_t results = images * groups * rows * first.grid_h * first.grid_w;
  const int64_t wanted = divide_up(pieces_of(results, first.depth), outer);
  // Packed columns serve all rows, so they are cut first.
  const int64_t row_pieces = std::min(panels, together ? divide_up(wanted, spans) : wanted);
  const int64_t column_pieces = std::min(spans, together ? wanted : divide_up(wanted, row_pieces));
  const int64_t row_step = divide_up(panels, row_pieces) * packing_kernels().row_block;
  const int64_t column_step = divide_up(spans, column_pieces) * kernels.column_block;
  std::vector<int64_t> tile_offset(kernels.depth_block);
  for (int64_t d = 0; d < kernels.depth_block; ++d) tile_offset[d] = d * kernels.column_block;
  parallel_for(outer * row_pieces * column_pieces, [&](int64_t task) {
    const int64_t column = task % column_pieces * column_step;
    const int64_t row = task / column_pieces % row_pieces * row_step;
    const int64_t which = task / column_pieces / row_pieces;
    if (column >= all_columns || row >= rows) return;
    const int64_t row_end = std::min(rows, row + row_step), column_end = std::min(all_columns, column + column_step);
    static thread_local Scratch block, tile;
    float* sums = block.floats(row_step * kernels.column_block * kernels.tiles_at_once);
    if (together) {
      kernels.packed_product({product(0, which), source_image, out_image, tile_offset.data()}, row, row_end, column,
                             column_end, sums, tile.floats(kernels.depth_block * kernels.column_block + slack));
    } else {
      kernels.shifted_product(product(which / groups, which % groups), row, row_end, column, column_end, sums);
    }
  });
}

}  // namespace

double forward_tiles_cost(const ForwardPlan& plan) {
  const Conv2d& p = plan.p;
  const Axis &h = p.window.h, &w = p.window.w;
  const PaddedInput input(p.window, 0);
  return tiles_cost(p, p.group_filters(), p.group_channels() * p.taps(), h.output, w.output, input.pitch);
}

double backward_data_tiles_cost(const DataPlan& plan) {
  const Conv2d& p = plan.p;
  const PaddedGradient gradient(p.window, 1, 0);
  double sum = 0.0;
  for (const PaddedGradient::Phase& phase : gradient.phases) {
    const int64_t depth = p.group_filters() * static_cast<int64_t>(phase.offsets.size());
    sum += tiles_cost(p, p.group_channels(), depth, phase.h.size(), phase.w.size(), gradient.pitch);
  }
  return sum;
}

void forward_by_tiles(const ForwardPlan& plan, const float* x, const float* weight, const float* bias, float* y) {
  const Conv2d& p = plan.p;
  const Axis &h = p.window.h, &w = p.window.w;
  const PaddedInput input(p.window, p.group_channels());
  const int64_t depth = p.group_channels() * p.taps(), rows = p.group_filters();
  const int64_t out_plane = h.output * w.output;
  const int64_t panels = divide_up(rows, packing_kernels().row_block);

  static thread_local Scratch packed_scratch, plane_scratch;
  float* packed = packed_scratch.floats(p.groups * panels * packing_kernels().row_block * depth);
  std::vector<int64_t> columns(depth);
  for (int64_t k = 0; k < depth; ++k) columns[k] = k;
  pack_tile_rows(weight, p.groups, rows * depth, rows, depth, columns, packed);

  // Rows of one tap follow each other without a gap.
  const bool as_is = p.is_pointwise();
  const int64_t image_floats = p.C * input.channel;
  const int64_t batch = as_is ? std::max<int64_t>(p.N, 1)
                              : std::clamp<int64_t>(scratch_floats / image_floats, 1, std::max<int64_t>(p.N, 1));
  float* planes = as_is ? nullptr : plane_scratch.floats(batch * image_floats + slack);
  for (int64_t first = 0; first < p.N; first += batch) {
    const int64_t images = std::min(batch, p.N - first);
    parallel_for(as_is ? 0 : images * p.C, [&](int64_t plane) {
      input.copy_channel(p.window, x + (first * p.C + plane) * h.input * w.input, planes + plane * input.channel);
    });
    run_tile_products(images, p.groups, image_floats, p.K * out_plane, as_is, [&](int64_t image, int64_t g) {
      ShiftedProduct product{};
      product.packed = packed + g * panels * packing_kernels().row_block * depth;
      product.source = (as_is ? x : planes) + image * image_floats + g * p.group_channels() * input.channel;
      product.offset = input.offsets.data();
      product.depth = depth;
      product.rows = rows;
      product.pitch = input.pitch;
      product.grid_h = h.output;
      product.grid_w = w.output;
      product.out = y + ((first + image) * p.K + g * rows) * out_plane;
      product.out_plane = out_plane;
      product.out_row = w.output;
      product.out_column = 1;
      product.bias = bias ? bias + g * rows : nullptr;
      product.activation = p.activation;
      return product;
    });
  }
}

void backward_data_by_tiles(const DataPlan& plan, const float* dy, const float* weight, float* dx) {
  const Conv2d& p = plan.p;
  const Axis &h = p.window.h, &w = p.window.w;
  const int64_t rows = p.group_channels(), filters = p.group_filters(), taps = p.taps();
  const int64_t panel_rows = divide_up(rows, packing_kernels().row_block) * packing_kernels().row_block;
  const PaddedGradient gradient(p.window, filters, rows);
  const int64_t plane = gradient.plane, out_plane = h.output * w.output;

  std::vector<int64_t> packed_at;  // of each phase
  int64_t packed_floats = 0;
  for (const PaddedGradient::Phase& phase : gradient.phases) {
    packed_at.push_back(packed_floats);
    packed_floats += p.groups * panel_rows * static_cast<int64_t>(phase.columns.size());
  }
  static thread_local Scratch packed_scratch, plane_scratch;
  float* packed = packed_scratch.floats(std::max<int64_t>(packed_floats, 1));
  for (std::size_t i = 0; i < gradient.phases.size(); ++i) {
    pack_tile_rows(weight, p.groups, filters * rows * taps, rows, taps, gradient.phases[i].columns,
                   packed + packed_at[i]);
  }

  const int64_t image_floats = p.K * plane;
  const bool as_is = p.is_pointwise();  // dy is its own padded copy
  const int64_t all = std::max<int64_t>(p.N, 1);
  const int64_t batch = as_is ? all : std::clamp<int64_t>(scratch_floats / image_floats, 1, all);
  float* planes = as_is ? nullptr : plane_scratch.floats(batch * image_floats + slack);
  for (int64_t first = 0; first < p.N; first += batch) {
    const int64_t images = std::min(batch, p.N - first);
    parallel_for(as_is ? 0 : images * p.K, [&](int64_t k) {
      gradient.copy_plane(p.window, dy + (first * p.K + k) * out_plane, planes + k * plane);
    });
    for (std::size_t i = 0; i < gradient.phases.size(); ++i) {
      const PaddedGradient::Phase& phase = gradient.phases[i];
      const int64_t depth = static_cast<int64_t>(phase.columns.size());
      run_tile_products(images, p.groups, image_floats, p.C * h.input * w.input, as_is, [&](int64_t image, int64_t g) {
        ShiftedProduct product{};
        product.packed = packed + packed_at[i] + g * panel_rows * depth;
        product.source = (as_is ? dy : planes) + image * image_floats + g * filters * plane;
        product.offset = phase.offsets.data();
        product.depth = depth;
        product.rows = rows;
        product.pitch = gradient.pitch;
        product.grid_h = phase.h.size();
        product.grid_w = phase.w.size();
        product.out = dx + ((first + image) * p.C + g * rows) * h.input * w.input + phase.h.position(h) * w.input +
                      phase.w.position(w);
        product.out_plane = h.input * w.input;
        product.out_row = h.stride * w.input;
        product.out_column = w.stride;
        return product;
      });
    }
  }
}

}  // namespace dip::cpu
