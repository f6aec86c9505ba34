// Convolution on the CPU: lays out the shifts, splits the work, and calls the vector kernels.
//
// The split depends on the shapes alone, never on the number of threads, and every piece writes its own results.
#include <algorithm>
#include <cmath>
#include <vector>

#include "core/parallel.h"
#include "core/scratch.h"
#include "ops/conv/conv.h"
#include "ops/conv/kernels.h"
#include "ops/conv/padded_input.h"

namespace dip::cpu {
namespace {

using std::int64_t;

// Packs the rows of `groups` matrices, one panel a task.
void pack_groups(const float* matrix, int64_t groups, int64_t group_stride, int64_t rows, int64_t row_stride,
                 const std::vector<int64_t>& columns, float* packed) {
  const ConvKernels& kernels = conv_kernels();
  const int64_t block = kernels.row_block, panels = divide_up(rows, block);
  const int64_t depth = static_cast<int64_t>(columns.size());
  parallel_for(groups * panels, [&](int64_t task) {
    const int64_t g = task / panels, first = task % panels * block;
    kernels.pack_rows(matrix + g * group_stride + first * row_stride, row_stride, columns.data(),
                      std::min(block, rows - first), depth, packed + task * block * depth);
  });
}

// Which of the two ways to lay out the columns is cheaper, by what they waste. A product per image multiplies what lies
// between two rows too, and rounds every image up to whole tiles. One over all images copies its columns first, which
// costs about a cycle for each run of them and as much as half a multiply-add of a tile for the rest.
bool pack_columns(int64_t images, int64_t rows, int64_t grid_h, int64_t grid_w, int64_t pitch) {
  const ConvKernels& kernels = conv_kernels();
  const double block = static_cast<double>(kernels.column_block), positions = static_cast<double>(grid_h * grid_w);
  const double panels = static_cast<double>(divide_up(rows, kernels.row_block));
  const double flat = static_cast<double>(pitch * (grid_h - 1) + grid_w);
  const double separate = static_cast<double>(images) * std::ceil(flat / block) * block;
  const double runs = block / static_cast<double>(grid_w) + 2.0, tile_cycles = 12.0;
  const double together = std::ceil(static_cast<double>(images) * positions / block) * block;
  return together * (1.0 + (runs + 3.0) / (panels * tile_cycles)) < separate;
}

// Runs `product(image, group)` for every image and group, each cut into blocks of rows and columns where that is
// needed to give all threads work. The images lie `source_image` and `out_image` apart. Where `exact`, nothing may be
// read beyond the source, as scratch memory allows.
template <class Product>
void run_products(int64_t images, int64_t groups, int64_t source_image, int64_t out_image, bool exact,
                  const Product& product) {
  const ConvKernels& kernels = conv_kernels();
  const ShiftedProduct first = product(0, 0);
  const int64_t rows = first.rows, flat = first.pitch * (first.grid_h - 1) + first.grid_w;
  const bool together = exact || pack_columns(images, rows, first.grid_h, first.grid_w, first.pitch);
  const int64_t outer = together ? groups : images * groups;
  const int64_t all_columns = together ? images * first.grid_h * first.grid_w : flat;
  const int64_t panels = divide_up(rows, kernels.row_block), spans = divide_up(all_columns, kernels.column_block);
  const int64_t wanted = divide_up(pieces_wanted, outer);
  // Packed columns serve all rows, so they are cut first.
  const int64_t row_pieces = std::min(panels, together ? divide_up(wanted, spans) : wanted);
  const int64_t column_pieces = std::min(spans, together ? wanted : divide_up(wanted, row_pieces));
  const int64_t row_step = divide_up(panels, row_pieces) * kernels.row_block;
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

// The inputs i of one phase of the backward pass, those with i·stride + phase − padding in [0, input).
struct PhaseRange {
  int64_t phase, first, last;  // i in [first, last)

  PhaseRange(const Axis& axis, int64_t phase) : phase(phase) {
    first = divide_up(std::max<int64_t>(0, axis.pad_start - phase), axis.stride);
    const int64_t room = axis.input + axis.pad_start - phase;
    last = std::max(first, room > 0 ? divide_up(room, axis.stride) : 0);
  }

  int64_t size() const { return last - first; }
  int64_t position(const Axis& axis) const { return first * axis.stride + phase - axis.pad_start; }
};

}  // namespace

namespace {

void forward_by_rows(const Conv2d& p, const float* x, const float* weight, const float* bias, float* y) {
  const Axis &h = p.window.h, &w = p.window.w;
  const PaddedInput input(p.window, p.group_channels());
  const int64_t channels = p.group_channels(), filters = p.group_filters(), depth = channels * p.taps();
  parallel_for(p.N * p.groups, [&](int64_t task) {
    const int64_t image = task / p.groups, g = task % p.groups;
    static thread_local Scratch scratch;
    float* planes = scratch.floats(channels * input.channel + 2 * slack);
    for (int64_t c = 0; c < channels; ++c) {
      input.copy_channel(p.window, x + (image * p.C + g * channels + c) * h.input * w.input,
                         planes + c * input.channel);
    }
    for (int64_t k = g * filters; k < (g + 1) * filters; ++k) {
      conv_kernels().shifted_row({weight + k * depth, planes, input.offsets.data(), depth, input.pitch, h.output,
                                  w.output, y + (image * p.K + k) * h.output * w.output, w.output, 1,
                                  bias ? bias[k] : 0.0f, p.activation});
    }
  });
}

}  // namespace

void conv2d_forward(const Conv2d& p, const float* x, const float* weight, const float* bias, float* y) {
  if (by_rows(p)) return forward_by_rows(p, x, weight, bias, y);
  const Axis &h = p.window.h, &w = p.window.w;
  const PaddedInput input(p.window, p.group_channels());
  const int64_t depth = p.group_channels() * p.taps(), rows = p.group_filters();
  const int64_t out_plane = h.output * w.output;
  const int64_t panels = divide_up(rows, conv_kernels().row_block);

  static thread_local Scratch packed_scratch, plane_scratch;
  float* packed = packed_scratch.floats(p.groups * panels * conv_kernels().row_block * depth);
  std::vector<int64_t> columns(depth);
  for (int64_t k = 0; k < depth; ++k) columns[k] = k;
  pack_groups(weight, p.groups, rows * depth, rows, depth, columns, packed);

  // One tap, no padding, stride 1: x is its own padded copy, whose rows follow each other without a gap.
  const bool as_is = p.taps() == 1 && input.channel == h.input * w.input && input.pitch == w.input;
  const int64_t image_floats = p.C * input.channel;
  const int64_t batch = as_is ? std::max<int64_t>(p.N, 1)
                              : std::clamp<int64_t>(scratch_floats / image_floats, 1, std::max<int64_t>(p.N, 1));
  float* planes = as_is ? nullptr : plane_scratch.floats(batch * image_floats + slack);
  for (int64_t first = 0; first < p.N; first += batch) {
    const int64_t images = std::min(batch, p.N - first);
    parallel_for(as_is ? 0 : images * p.C, [&](int64_t plane) {
      input.copy_channel(p.window, x + (first * p.C + plane) * h.input * w.input, planes + plane * input.channel);
    });
    run_products(images, p.groups, image_floats, p.K * out_plane, as_is, [&](int64_t image, int64_t g) {
      ShiftedProduct product{};
      product.packed = packed + g * panels * conv_kernels().row_block * depth;
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

void conv2d_backward_data(const Conv2d& p, const float* dy, const float* weight, float* dx) {
  const Axis &h = p.window.h, &w = p.window.w;
  const TapShifts h_taps(h), w_taps(w);
  const int64_t rows = p.group_channels(), filters = p.group_filters(), taps = p.taps();
  const int64_t panel_rows = divide_up(rows, conv_kernels().row_block) * conv_kernels().row_block;

  // One padded copy of dy serves all phases: rows [y0, y1) and columns [x0, x1) of it, zeros outside.
  int64_t y1 = h.output, x1 = w.output, y0 = 0, x0 = 0;
  for (int64_t a = 0; a < h.stride; ++a) {
    const PhaseRange range(h, a);
    y0 = std::min(y0, range.first - h_taps.largest_shift);
    y1 = std::max(y1, range.last);
  }
  for (int64_t b = 0; b < w.stride; ++b) {
    const PhaseRange range(w, b);
    x0 = std::min(x0, range.first - w_taps.largest_shift);
    x1 = std::max(x1, range.last);
  }
  const int64_t pitch = x1 - x0, plane = (y1 - y0) * pitch;

  struct Phase {
    PhaseRange h, w;
    std::vector<int64_t> offsets, columns;
    int64_t packed_at;
  };
  std::vector<Phase> phases;
  int64_t packed_floats = 0;
  for (int64_t a = 0; a < h.stride; ++a) {
    for (int64_t b = 0; b < w.stride; ++b) {
      Phase phase{PhaseRange(h, a), PhaseRange(w, b), {}, {}, packed_floats};
      if (phase.h.size() == 0 || phase.w.size() == 0) continue;
      for (int64_t k = 0; k < filters; ++k) {
        for (int64_t r = 0; r < h.kernel; ++r) {
          for (int64_t s = 0; s < w.kernel; ++s) {
            if (r * h.dilation % h.stride != a || s * w.dilation % w.stride != b) continue;
            phase.offsets.push_back(k * plane + (phase.h.first - h_taps.shift_of[r] - y0) * pitch +
                                    (phase.w.first - w_taps.shift_of[s] - x0));
            phase.columns.push_back(k * rows * taps + r * w.kernel + s);
          }
        }
      }
      packed_floats += p.groups * panel_rows * static_cast<int64_t>(phase.columns.size());
      phases.push_back(std::move(phase));
    }
  }

  if (by_rows(p)) {
    parallel_for(p.N * p.groups, [&](int64_t task) {
      const int64_t image = task / p.groups, g = task % p.groups;
      static thread_local Scratch scratch;
      float* planes = scratch.floats(filters * plane + 2 * slack);
      for (int64_t k = 0; k < filters; ++k) {
        conv_kernels().copy_phase({h.output, w.output, y0, x0, 1, 1, y1 - y0, pitch},
                                  dy + (image * p.K + g * filters + k) * h.output * w.output, planes + k * plane);
      }
      std::vector<float> values;
      for (const Phase& phase : phases) {
        for (int64_t c = 0; c < rows; ++c) {
          values.clear();
          for (int64_t column : phase.columns) values.push_back(weight[(g * filters * rows + c) * taps + column]);
          conv_kernels().shifted_row({values.data(),
                                      planes,
                                      phase.offsets.data(),
                                      static_cast<int64_t>(values.size()),
                                      pitch,
                                      phase.h.size(),
                                      phase.w.size(),
                                      dx + (image * p.C + g * rows + c) * h.input * w.input +
                                          phase.h.position(h) * w.input + phase.w.position(w),
                                      h.stride * w.input,
                                      w.stride,
                                      0.0f,
                                      {}});
        }
      }
    });
    return;
  }

  static thread_local Scratch packed_scratch, plane_scratch;
  float* packed = packed_scratch.floats(std::max<int64_t>(packed_floats, 1));
  for (const Phase& phase : phases) {
    pack_groups(weight, p.groups, filters * rows * taps, rows, taps, phase.columns, packed + phase.packed_at);
  }

  const int64_t image_floats = p.K * plane;
  // One tap, no padding, stride 1: dy is its own padded copy.
  const bool as_is = p.taps() == 1 && h.stride * w.stride == 1 && plane == h.output * w.output && pitch == w.output;
  const int64_t all = std::max<int64_t>(p.N, 1);
  const int64_t batch = as_is ? all : std::clamp<int64_t>(scratch_floats / image_floats, 1, all);
  float* planes = as_is ? nullptr : plane_scratch.floats(batch * image_floats + slack);
  for (int64_t first = 0; first < p.N; first += batch) {
    const int64_t images = std::min(batch, p.N - first);
    parallel_for(as_is ? 0 : images * p.K, [&](int64_t k) {
      conv_kernels().copy_phase({h.output, w.output, y0, x0, 1, 1, y1 - y0, pitch},
                                dy + (first * p.K + k) * h.output * w.output, planes + k * plane);
    });
    for (const Phase& phase : phases) {
      const int64_t depth = static_cast<int64_t>(phase.columns.size());
      run_products(images, p.groups, image_floats, p.C * h.input * w.input, as_is, [&](int64_t image, int64_t g) {
        ShiftedProduct product{};
        product.packed = packed + phase.packed_at + g * panel_rows * depth;
        product.source = (as_is ? dy : planes) + image * image_floats + g * filters * plane;
        product.offset = phase.offsets.data();
        product.depth = depth;
        product.rows = rows;
        product.pitch = pitch;
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
