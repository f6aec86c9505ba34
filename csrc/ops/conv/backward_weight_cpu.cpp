// The gradients of a convolution's weights and bias on the CPU.
#include <algorithm>
#include <vector>

#include "core/parallel.h"
#include "core/scratch.h"
#include "ops/conv/conv.h"
#include "ops/conv/kernels.h"
#include "ops/conv/padded_input.h"
#include "ops/conv/ways.h"

namespace dip::cpu {

using std::int64_t;

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

bool pixels_fill_vectors(const Conv2d& p) {
  const int64_t width = p.window.w.dilation == 1 ? p.window.w.kernel * p.group_channels() : p.group_channels();
  return 10 * width >= 6 * divide_up(width, 16) * 16;
}

void backward_weight_by_dots(const Conv2d& p, const float* dy, const float* x, float* dweight) {
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

}  // namespace dip::cpu
