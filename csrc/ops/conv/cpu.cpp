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

namespace dip::cpu {
namespace {

using std::int64_t;

constexpr int64_t scratch_floats = 2 << 20;  // 8 MB of padded planes at a time: they stay in the last-level cache
constexpr int64_t slack = 64;                // floats a kernel may read past the last plane
constexpr int64_t pieces_wanted = 16;        // enough for the threads to share evenly

// Where the taps of one axis lie after splitting it into phases: tap t reads phase (t·dilation) mod stride at the
// shift ⌊t·dilation / stride⌋.
struct TapShifts {
  std::vector<int64_t> phases;              // the phases that some tap uses
  std::vector<int64_t> phase_of, shift_of;  // for each tap: index into `phases`, and shift
  int64_t largest_shift = 0;

  explicit TapShifts(const Axis& axis) {
    for (int64_t t = 0; t < axis.kernel; ++t) {
      const int64_t phase = t * axis.dilation % axis.stride, shift = t * axis.dilation / axis.stride;
      auto found = std::find(phases.begin(), phases.end(), phase);
      phase_of.push_back(found - phases.begin());
      if (found == phases.end()) phases.push_back(phase);
      shift_of.push_back(shift);
      largest_shift = std::max(largest_shift, shift);
    }
  }
};

// The padded copies of the input planes of one image, and the shift of every (channel, tap) in them.
struct PaddedInput {
  TapShifts h, w;
  int64_t rows, pitch, plane, channel;  // rows and columns of a phase; floats in a phase and in a channel
  std::vector<int64_t> offsets;         // channels × taps

  PaddedInput(const Window2d& window, int64_t channels)
      : h(window.h),
        w(window.w),
        rows(window.h.output + h.largest_shift),
        pitch(window.w.output + w.largest_shift),
        plane(rows * pitch),
        channel(plane * static_cast<int64_t>(h.phases.size() * w.phases.size())) {
    for (int64_t c = 0; c < channels; ++c) {
      for (int64_t r = 0; r < window.h.kernel; ++r) {
        for (int64_t s = 0; s < window.w.kernel; ++s) {
          const int64_t phase = h.phase_of[r] * static_cast<int64_t>(w.phases.size()) + w.phase_of[s];
          offsets.push_back(c * channel + phase * plane + h.shift_of[r] * pitch + w.shift_of[s]);
        }
      }
    }
  }

  void copy_channel(const Window2d& window, const float* source, float* to) const {
    for (int64_t a : h.phases) {
      for (int64_t b : w.phases) {
        conv_kernels().copy_phase({window.h.input, window.w.input, a - window.h.pad_start, b - window.w.pad_start,
                                   window.h.stride, window.w.stride, rows, pitch},
                                  source, to);
        to += plane;
      }
    }
  }
};

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

// Groups of few filters and channels, depthwise convolution above all: a tile of the product would stay nearly empty,
// so every plane of results is computed by itself, from a padded copy that fits into the first-level cache.
bool by_rows(const Conv2d& p) {
  return p.groups > 1 && p.group_filters() * p.group_channels() <= 4;
}

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

void backward_weight_by_rows(const Conv2d& p, const float* dy, const float* x, float* dweight) {
  const Axis &h = p.window.h, &w = p.window.w;
  const PaddedInput input(p.window, p.group_channels());
  const int64_t channels = p.group_channels(), filters = p.group_filters(), depth = channels * p.taps();
  parallel_for(p.groups, [&](int64_t g) {
    static thread_local Scratch scratch;
    float* planes = scratch.floats(channels * input.channel + 2 * slack);
    std::vector<double> sums(filters * depth);
    for (int64_t image = 0; image < p.N; ++image) {
      for (int64_t c = 0; c < channels; ++c) {
        input.copy_channel(p.window, x + (image * p.C + g * channels + c) * h.input * w.input,
                           planes + c * input.channel);
      }
      for (int64_t m = 0; m < filters; ++m) {
        conv_kernels().shifted_row_dots({dy + (image * p.K + g * filters + m) * h.output * w.output, planes,
                                         input.offsets.data(), depth, w.output, input.pitch, h.output, w.output,
                                         sums.data() + m * depth});
      }
    }
    for (int64_t i = 0; i < filters * depth; ++i) dweight[g * filters * depth + i] = static_cast<float>(sums[i]);
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
  const int64_t batch = std::clamp<int64_t>(scratch_floats / image_floats, 1, std::max<int64_t>(p.N, 1));
  float* planes = plane_scratch.floats(batch * image_floats + slack);
  for (int64_t first = 0; first < p.N; first += batch) {
    const int64_t images = std::min(batch, p.N - first);
    parallel_for(images * p.K, [&](int64_t k) {
      conv_kernels().copy_phase({h.output, w.output, y0, x0, 1, 1, y1 - y0, pitch},
                                dy + (first * p.K + k) * h.output * w.output, planes + k * plane);
    });
    for (const Phase& phase : phases) {
      const int64_t depth = static_cast<int64_t>(phase.columns.size());
      run_products(images, p.groups, image_floats, p.C * h.input * w.input, false, [&](int64_t image, int64_t g) {
        ShiftedProduct product{};
        product.packed = packed + phase.packed_at + g * panel_rows * depth;
        product.source = planes + image * image_floats + g * filters * plane;
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

namespace {

// The weights' gradient with the positions as the depth of the product. x is copied with its channels innermost, so
// that for one row of taps the S·C numbers under a window lie side by side: they are the vector. dy is copied into
// panels.
void backward_weight_by_pixels(const Conv2d& p, const float* dy, const float* x, float* dweight) {
  const Axis &h = p.window.h, &w = p.window.w;
  const ConvKernels& kernels = conv_kernels();
  const int64_t channels = p.group_channels(), filters = p.group_filters(), block = kernels.row_block;
  const bool rows_of_taps = w.dilation == 1;
  const int64_t taps = rows_of_taps ? h.kernel : p.taps(), width = rows_of_taps ? w.kernel * channels : channels;
  const int64_t pitch = divide_up(width, 16) * 16, panels = divide_up(filters, block), rows = panels * block;

  const int64_t columns = w.input + w.pad_start + w.pad_end, lines = h.input + h.pad_start + h.pad_end;
  const int64_t x_plane = lines * columns * channels, plane = h.output * w.output;
  const int64_t image_floats = p.C * lines * columns + p.groups * rows * plane;
  const int64_t batch = std::clamp<int64_t>(scratch_floats / image_floats, 1, std::max<int64_t>(p.N, 1));
  static thread_local Scratch x_scratch, dy_scratch, out_scratch;
  float* x_copy = x_scratch.floats(batch * p.groups * x_plane + slack);
  float* dy_copy = dy_scratch.floats(batch * p.groups * rows * plane);
  float* out = out_scratch.floats(p.groups * taps * rows * pitch);

  std::vector<int64_t> offsets(batch * plane), tap_shift(taps);
  for (int64_t q = 0; q < batch * plane; ++q) {
    const int64_t ow = q % w.output, oh = q / w.output % h.output, image = q / plane;
    offsets[q] = image * p.groups * x_plane + (oh * h.stride * columns + ow * w.stride) * channels;
  }
  for (int64_t tap = 0; tap < taps; ++tap) {
    const int64_t r = rows_of_taps ? tap : tap / w.kernel, s = rows_of_taps ? 0 : tap % w.kernel;
    tap_shift[tap] = (r * h.dilation * columns + s * w.dilation) * channels;
  }

  if (p.N == 0) std::fill(out, out + p.groups * taps * rows * pitch, 0.0f);
  const int64_t panel_step = std::clamp<int64_t>(p.groups * panels * taps / pieces_wanted, 1, 4);
  const int64_t panel_pieces = divide_up(panels, panel_step);
  for (int64_t first = 0; first < p.N; first += batch) {
    const int64_t images = std::min(batch, p.N - first), depth = images * plane;
    parallel_for(images * p.groups * (lines + panels), [&](int64_t task) {
      const int64_t part = task % (lines + panels), g = task / (lines + panels) % p.groups;
      const int64_t image = task / (lines + panels) / p.groups;
      if (part < lines) {
        float* to = x_copy + (image * p.groups + g) * x_plane + part * columns * channels;
        const int64_t ih = part - h.pad_start;
        if (ih < 0 || ih >= h.input) {
          std::fill(to, to + columns * channels, 0.0f);
          return;
        }
        std::fill(to, to + w.pad_start * channels, 0.0f);
        std::fill(to + (w.pad_start + w.input) * channels, to + columns * channels, 0.0f);
        const float* from = x + (((first + image) * p.groups + g) * channels * h.input + ih) * w.input;
        kernels.transpose(from, h.input * w.input, channels, w.input, to + w.pad_start * channels, channels);
      } else {
        const int64_t panel = part - lines, own = std::min(block, filters - panel * block);
        const float* from = dy + (((first + image) * p.groups + g) * filters + panel * block) * plane;
        float* to = dy_copy + ((g * panels + panel) * batch + image) * plane * block;
        kernels.transpose(from, plane, own, plane, to, block);
      }
    });
    parallel_for(p.groups * panel_pieces * taps, [&](int64_t task) {
      const int64_t tap = task % taps, piece = task / taps % panel_pieces, g = task / taps / panel_pieces;
      PixelProduct product{};
      product.left = dy_copy + g * panels * batch * plane * block;
      product.left_panel = batch * plane * block;
      product.right = x_copy + g * x_plane;
      product.offset = offsets.data();
      product.tap_shift = tap_shift.data();
      product.depth = depth;
      product.rows = filters;
      product.width = width;
      product.out = out + g * taps * rows * pitch;
      product.out_tap = rows * pitch;
      product.out_row = pitch;
      product.accumulate = first > 0;
      kernels.pixel_product(product, piece * panel_step, std::min(panels, (piece + 1) * panel_step), tap, tap + 1);
    });
  }
  parallel_for(p.K, [&](int64_t k) {
    const int64_t g = k / filters;
    float* to = dweight + k * channels * p.taps();
    for (int64_t tap = 0; tap < taps; ++tap) {
      const float* from = out + ((g * taps + tap) * rows + k % filters) * pitch;
      // (s, c) of this row of taps, or c of this tap
      for (int64_t s = 0; s < width / channels; ++s) {
        const int64_t at = rows_of_taps ? tap * w.kernel + s : tap;
        for (int64_t c = 0; c < channels; ++c) to[c * p.taps() + at] = from[s * channels + c];
      }
    }
  });
}

// Whether the vectors of backward_weight_by_pixels would be mostly full.
bool fills_vectors(const Conv2d& p) {
  const int64_t width = p.window.w.dilation == 1 ? p.window.w.kernel * p.group_channels() : p.group_channels();
  return 10 * width >= 6 * divide_up(width, 16) * 16;
}

}  // namespace

void conv2d_backward_weight(const Conv2d& p, const float* dy, const float* x, float* dweight) {
  if (by_rows(p)) return backward_weight_by_rows(p, dy, x, dweight);
  if (fills_vectors(p)) return backward_weight_by_pixels(p, dy, x, dweight);
  const Axis &h = p.window.h, &w = p.window.w;
  const PaddedInput input(p.window, p.group_channels());
  const int64_t depth = p.group_channels() * p.taps(), rows = p.group_filters();
  const int64_t dy_plane = h.output * input.pitch, x_image = p.C * input.channel, dy_image = p.K * dy_plane;
  const int64_t batch = std::clamp<int64_t>(scratch_floats / (x_image + dy_image), 1, std::max<int64_t>(p.N, 1));

  static thread_local Scratch x_scratch, dy_scratch;
  float* x_planes = x_scratch.floats(batch * x_image + slack);
  float* dy_planes = dy_scratch.floats(batch * dy_image + slack);
  if (p.N == 0) std::fill(dweight, dweight + p.K * depth, 0.0f);

  const ConvKernels& kernels = conv_kernels();
  const int64_t row_blocks = divide_up(rows, kernels.dot_row_block);
  const int64_t column_blocks = divide_up(depth, kernels.dot_column_block);
  const int64_t column_pieces = std::min(column_blocks, divide_up(pieces_wanted, p.groups * row_blocks));
  const int64_t column_step = divide_up(column_blocks, column_pieces) * kernels.dot_column_block;
  for (int64_t first = 0; first < p.N; first += batch) {
    const int64_t images = std::min(batch, p.N - first);
    parallel_for(images * (p.C + p.K), [&](int64_t task) {
      if (task < images * p.C) {
        input.copy_channel(p.window, x + (first * p.C + task) * h.input * w.input, x_planes + task * input.channel);
      } else {
        task -= images * p.C;
        kernels.copy_phase({h.output, w.output, 0, 0, 1, 1, h.output, input.pitch},
                           dy + (first * p.K + task) * h.output * w.output, dy_planes + task * dy_plane);
      }
    });
    parallel_for(p.groups * row_blocks * column_pieces, [&](int64_t task) {
      const int64_t column = task % column_pieces * column_step;
      const int64_t row = task / column_pieces % row_blocks * kernels.dot_row_block;
      const int64_t g = task / column_pieces / row_blocks;
      if (column >= depth) return;
      ShiftedDots dots{};
      dots.left = dy_planes + g * rows * dy_plane;
      dots.right = x_planes + g * p.group_channels() * input.channel;
      dots.left_image = dy_image;
      dots.right_image = x_image;
      dots.left_plane = dy_plane;
      dots.offset = input.offsets.data();
      dots.depth = depth;
      dots.rows = rows;
      dots.images = images;
      dots.pitch = input.pitch;
      dots.grid_h = h.output;
      dots.grid_w = w.output;
      dots.out = dweight + g * rows * depth;
      dots.accumulate = first > 0;
      kernels.shifted_dots(dots, row, std::min(rows, row + kernels.dot_row_block), column,
                           std::min(depth, column + column_step));
    });
  }
}

void conv2d_backward_bias(const Conv2d& p, const float* dy, float* dbias) {
  const int64_t plane = p.window.h.output * p.window.w.output;
  parallel_for(p.K, [&](int64_t k) {
    double sum = 0.0;
    for (int64_t n = 0; n < p.N; ++n) sum += conv_kernels().sum(dy + (n * p.K + k) * plane, plane);
    dbias[k] = static_cast<float>(sum);
  });
}

}  // namespace dip::cpu
