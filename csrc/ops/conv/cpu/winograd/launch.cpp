// Convolution 3 × 3 with stride 1 by Winograd's F(4 × 4, 3 × 3), for precisions below `highest`: a quarter of the
// products, an error that is relative to the largest terms of all results of a tile.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <vector>

#include "cpu/costs.h"
#include "cpu/gemm/kernels.h"
#include "cpu/parallel.h"
#include "cpu/scratch.h"
#include "ops/conv/cpu/ways.h"
#include "ops/conv/cpu/winograd/kernels.h"

namespace dip::cpu {
namespace {

using std::int64_t;

constexpr int64_t points = 36, tiles_at_once = 28;

// What a product reads and writes: images of groups × channels planes, and of groups × rows. The first tap of the first
// result meets the source at first_y and first_x.
struct WinogradMaps {
  const float* source;
  int64_t channels, height, width, first_y, first_x;
  float* out;
  int64_t rows, out_height, out_width;
};

// Where the weight of a row, channel and tap lies.
struct Weights {
  const float* weight;
  int64_t group, row, channel;
  bool turned;  // the last tap comes first

  int64_t tap(int64_t t) const { return turned ? 8 - t : t; }
};

// to[group][point][panel][channel][lane]
void transform_weights(const Weights& from, int64_t groups, int64_t rows, int64_t channels, float* to) {
  constexpr int64_t channels_at_once = 16;
  const WinogradKernels& kernels = winograd_kernels();
  const int64_t panels = divide_up(rows, packing_kernels().lanes), parts = divide_up(channels, channels_at_once);
  std::vector<int64_t> offsets;
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t t = 0; t < 9; ++t) offsets.push_back(c * from.channel + from.tap(t));
  }
  parallel_for(groups * parts * panels, [&](int64_t task) {
    const int64_t panel = task % panels, c = task / panels % parts * channels_at_once, g = task / panels / parts;
    const int64_t some = std::min(channels_at_once, channels - c), first = panel * packing_kernels().lanes;
    static thread_local Scratch taps_scratch;
    float* taps = taps_scratch.floats(channels_at_once * 9 * packing_kernels().lanes);
    packing_kernels().pack_lanes(from.weight + g * from.group + first * from.row, from.row, offsets.data() + c * 9,
                                 std::min(packing_kernels().lanes, rows - first), some * 9, taps);
    const int64_t point = panels * channels * packing_kernels().lanes;
    kernels.weights(taps, some, to + g * points * point + (panel * channels + c) * packing_kernels().lanes, point);
  });
}

// Whether all weights of some row are so small that their transforms, 24 and more times smaller, would lose bits.
bool has_tiny_row(const Weights& from, int64_t groups, int64_t rows, int64_t channels) {
  constexpr float least = 0x1p-112f;
  std::atomic<bool> tiny{false};
  parallel_for(groups * rows, [&](int64_t at) {
    float largest = 0.0f;
    for (int64_t c = 0; c < channels; ++c) {
      const float* taps = from.weight + at / rows * from.group + at % rows * from.row + c * from.channel;
      for (int64_t t = 0; t < 9; ++t) largest = std::max(largest, std::abs(taps[t]));
    }
    if (largest > 0.0f && largest < least) tiny.store(true, std::memory_order_relaxed);
  });
  return tiny;
}

// Planes height × width from `first` on.
struct TileSource {
  const float* first;
  int64_t height, width;
};

// Lines [y, y + count) of some channels, a pixel's side by side, with zeros where they are outside; a line of so many
// pixels begins at x.
void pack_lines(const TileSource& planes, int64_t channels, int64_t y, int64_t count, int64_t x, int64_t pixels,
                float* to) {
  const int64_t lanes = packing_kernels().lanes, begin = std::clamp<int64_t>(-x, 0, pixels);
  const int64_t end = std::clamp<int64_t>(planes.width - x, begin, pixels);
  for (int64_t line = y; line < y + count; ++line, to += pixels * lanes) {
    if (line < 0 || line >= planes.height) {
      std::fill(to, to + pixels * lanes, 0.0f);
      continue;
    }
    std::fill(to, to + begin * lanes, 0.0f);
    std::fill(to + end * lanes, to + pixels * lanes, 0.0f);
    packing_kernels().transpose(planes.first + line * planes.width + x + begin, planes.height * planes.width, channels,
                                end - begin, to + begin * lanes, lanes);
  }
}

bool product_by_winograd(int64_t images, int64_t groups, const WinogradMaps& maps, const Weights& weights,
                         const float* bias, const ActivationSpec& activation) {
  if (has_tiny_row(weights, groups, maps.rows, maps.channels)) return false;
  const WinogradKernels& kernels = winograd_kernels();
  const int64_t lanes = packing_kernels().lanes, panels = divide_up(maps.rows, lanes);
  const int64_t blocks = divide_up(maps.channels, lanes), depth = blocks * lanes;
  const int64_t across = divide_up(maps.out_width, 4), down = divide_up(maps.out_height, 4);
  const int64_t pixels = 4 * across + 2, plane = maps.height * maps.width;
  const int64_t out_plane = maps.out_height * maps.out_width;
  static thread_local Scratch weights_scratch;
  const int64_t weights_point = panels * maps.channels * lanes;
  float* transformed = weights_scratch.floats(groups * points * weights_point);
  transform_weights(weights, groups, maps.rows, maps.channels, transformed);

  std::vector<int64_t> offset, position;
  for (int64_t c = 0; c < maps.channels; ++c) offset.push_back(c);
  for (int64_t t = 0; t < std::max<int64_t>(packing_kernels().lane_columns, 2); ++t) position.push_back(t * depth);

  // A unit is a row of tiles of one image.
  const int64_t units = images * down;
  const int64_t unit_tasks = divide_up(units, divide_up(tiles_at_once, across));
  const int64_t at_once = divide_up(units, unit_tasks), pairs = divide_up(panels, 2);
  const int64_t pair_tasks = std::min(pairs, divide_up(pieces_wanted, unit_tasks * groups));
  std::atomic<bool> finite{true};
  parallel_for(pair_tasks * unit_tasks * groups, [&](int64_t task) {
    const int64_t pair_task = task / unit_tasks % pair_tasks, g = task / unit_tasks / pair_tasks;
    const int64_t first = task % unit_tasks * units / unit_tasks, end = (task % unit_tasks + 1) * units / unit_tasks;
    const int64_t panel_end = std::min(panels, (pair_task + 1) * pairs / pair_tasks * 2);
    const int64_t tiles = (end - first) * across, source_point = tiles * depth;
    static thread_local Scratch lines_scratch, source_scratch, sums_scratch;
    float* source = source_scratch.floats(points * at_once * across * depth);
    float* lines = lines_scratch.floats(std::max((4 * at_once + 2) * pixels, across * 16) * lanes);
    for (int64_t unit = first; unit < end;) {
      const int64_t image = unit / down, i = unit % down, count = std::min(end - unit, down - i);
      for (int64_t block = 0; block < blocks; ++block) {
        const int64_t c = g * maps.channels + block * lanes;
        pack_lines({maps.source + (image * groups * maps.channels + c) * plane, maps.height, maps.width},
                   std::min(lanes, maps.channels - block * lanes), 4 * i + maps.first_y, 4 * count + 2, maps.first_x,
                   pixels, lines);
        for (int64_t row = 0; row < count; ++row) {
          kernels.input({
              .source = lines + 4 * row * pixels * lanes,
              .line = pixels * lanes,
              .tiles = across,
              .to = source + (unit + row - first) * across * depth + block * lanes,
              .to_tile = depth,
              .to_point = source_point,
          });
        }
      }
      unit += count;
    }
    float* sums = sums_scratch.floats(points * at_once * across * 2 * lanes);
    for (int64_t panel = pair_task * pairs / pair_tasks * 2; panel < panel_end; panel += 2) {
      const int64_t pair = std::min<int64_t>(2, panels - panel);
      kernels.product({
          .weights = transformed + g * points * weights_point + panel * maps.channels * lanes,
          .weights_point = weights_point,
          .panels = pair,
          .channels = maps.channels,
          .source = source,
          .source_point = source_point,
          .tiles = tiles,
          .offset = offset.data(),
          .position = position.data(),
          .sums = sums,
      });
      for (int64_t unit = first; unit < end; ++unit) {
        const int64_t image = unit / down, i = unit % down;
        for (int64_t v = 0; v < pair; ++v) {
          const int64_t k = (panel + v) * lanes, row = g * maps.rows + k;
          if (!kernels.output({
                  .sums = sums + ((unit - first) * across * pair + v) * lanes,
                  .sums_tile = pair * lanes,
                  .sums_point = tiles * pair * lanes,
                  .tiles = across,
                  .rows = std::min(lanes, maps.rows - k),
                  .bias = bias ? bias + row : nullptr,
                  .activation = activation,
                  .height = std::min<int64_t>(4, maps.out_height - 4 * i),
                  .width = maps.out_width,
                  .out = maps.out + (image * groups * maps.rows + row) * out_plane + 4 * i * maps.out_width,
                  .out_plane = out_plane,
                  .lines = lines,
              })) {
            finite = false;
          }
        }
      }
    }
  });
  return finite;
}

constexpr int64_t most_weights = 1 << 19;  // their points take 75 MB, beyond any cache

bool is_possible(const Conv2d& p) {
  const Axis &h = p.window.h, &w = p.window.w;
  return p.precision != Precision::highest && h.kernel == 3 && w.kernel == 3 && h.stride * w.stride == 1 &&
         h.dilation * w.dilation == 1 && p.N > 0 && p.K * p.group_channels() <= most_weights;
}

double product_cost(const Conv2d& p, int64_t rows, int64_t channels, int64_t out_height, int64_t out_width) {
  if (!is_possible(p)) return impossible;
  const int64_t lanes = packing_kernels().lanes;
  const double tiles = static_cast<double>(divide_up(out_height, 4) * divide_up(out_width, 4));
  const double inputs = static_cast<double>(divide_up(channels, lanes) * lanes);
  const double outputs = static_cast<double>(divide_up(rows, lanes) * lanes);
  return tiles * (points * costs().winograd_product * outputs * static_cast<double>(channels) +
                  costs().winograd_input * inputs + costs().winograd_output * outputs) +
         (costs().winograd_weight * outputs * static_cast<double>(channels) +
          costs().winograd_call / static_cast<double>(p.groups)) /
             static_cast<double>(p.N);
}

// The tiles of a weight gradient, rows of them, as many at once as stay in the last-level cache.
struct GradientTiles {
  int64_t across, down, depth, panels, at_once;

  explicit GradientTiles(const Conv2d& p)
      : across(divide_up(p.window.w.output, 4)),
        down(divide_up(p.window.h.output, 4)),
        depth(divide_up(p.group_channels(), packing_kernels().lanes) * packing_kernels().lanes),
        panels(divide_up(p.group_filters(), packing_kernels().lanes)) {
    constexpr int64_t floats_at_once = 3 << 19;
    const int64_t tile = p.groups * points * (depth + panels * packing_kernels().lanes);
    at_once = std::clamp<int64_t>(floats_at_once / tile / across, 1, p.N * down) * across;
  }
};

}  // namespace

double forward_winograd_cost(const ForwardPlan& plan) {
  const Conv2d& p = plan.p;
  return product_cost(p, p.group_filters(), p.group_channels(), p.window.h.output, p.window.w.output);
}

double backward_data_winograd_cost(const DataPlan& plan) {
  const Conv2d& p = plan.p;
  return product_cost(p, p.group_channels(), p.group_filters(), p.window.h.input, p.window.w.input);
}

double backward_weight_winograd_cost(const WeightPlan& plan) {
  const Conv2d& p = plan.p;
  if (!is_possible(p)) return impossible;
  const GradientTiles tiles(p);
  const double all = static_cast<double>(tiles.across * tiles.down), inputs = static_cast<double>(tiles.depth);
  const double outputs = static_cast<double>(tiles.panels * packing_kernels().lanes);
  // A tile's part of dy is read for as many channels as registers hold, or for fewer.
  const int64_t channels = std::max(p.group_channels(), packing_kernels().lane_columns);
  const double sums = points * outputs * static_cast<double>(channels);
  return all * (costs().winograd_product * sums + costs().winograd_input * inputs + costs().winograd_output * outputs) +
         costs().winograd_sum * sums * all / static_cast<double>(tiles.at_once) +
         (costs().winograd_weight * outputs * static_cast<double>(channels) +
          costs().winograd_call / static_cast<double>(p.groups)) /
             static_cast<double>(p.N);
}

bool forward_by_winograd(const ForwardPlan& plan, const float* x, const float* weight, const float* bias, float* y) {
  const Conv2d& p = plan.p;
  const Axis &h = p.window.h, &w = p.window.w;
  const int64_t channels = p.group_channels(), rows = p.group_filters();
  return product_by_winograd(p.N, p.groups,
                             {
                                 .source = x,
                                 .channels = channels,
                                 .height = h.input,
                                 .width = w.input,
                                 .first_y = -h.pad_start,
                                 .first_x = -w.pad_start,
                                 .out = y,
                                 .rows = rows,
                                 .out_height = h.output,
                                 .out_width = w.output,
                             },
                             {weight, rows * channels * 9, channels * 9, 9, false}, bias, p.activation);
}

bool backward_data_by_winograd(const DataPlan& plan, const float* dy, const float* weight, float* dx) {
  const Conv2d& p = plan.p;
  const Axis &h = p.window.h, &w = p.window.w;
  const int64_t channels = p.group_filters(), rows = p.group_channels();
  return product_by_winograd(p.N, p.groups,
                             {
                                 .source = dy,
                                 .channels = channels,
                                 .height = h.output,
                                 .width = w.output,
                                 .first_y = h.pad_start - 2,
                                 .first_x = w.pad_start - 2,
                                 .out = dx,
                                 .rows = rows,
                                 .out_height = h.input,
                                 .out_width = w.input,
                             },
                             {weight, rows * channels * 9, 9, rows * 9, true}, nullptr, {});
}

bool backward_weight_by_winograd(const WeightPlan& plan, const float* dy, const float* x, float* dweight) {
  const Conv2d& p = plan.p;
  const WinogradKernels& kernels = winograd_kernels();
  const Axis &h = p.window.h, &w = p.window.w;
  const GradientTiles tiles(p);
  const int64_t lanes = packing_kernels().lanes, channels = p.group_channels(), filters = p.group_filters();
  const int64_t blocks = tiles.depth / lanes, panels = tiles.panels, pairs = divide_up(panels, 2);
  const int64_t across = tiles.across, units = p.N * tiles.down, units_at_once = tiles.at_once / across;
  static thread_local Scratch x_scratch, dy_scratch, sums_scratch;
  float* inputs = x_scratch.floats(p.groups * points * tiles.at_once * tiles.depth);
  float* gradients = dy_scratch.floats(p.groups * points * tiles.at_once * panels * lanes);
  float* sums = sums_scratch.floats(p.groups * points * channels * panels * lanes);  // [group][point][pair][channel]
  std::vector<int64_t> offset, position;
  for (int64_t t = 0; t < tiles.at_once; ++t) offset.push_back(t * tiles.depth);
  for (int64_t c = 0; c < packing_kernels().lane_columns; ++c) position.push_back(c);

  for (int64_t first = 0; first < units; first += units_at_once) {
    const int64_t some = std::min(units_at_once, units - first), count = some * across;
    const int64_t input_point = count * tiles.depth, gradient_point = count * panels * lanes;
    parallel_for(some * p.groups * (blocks + panels), [&](int64_t task) {
      const int64_t which = task % (blocks + panels), g = task / (blocks + panels) % p.groups;
      const int64_t unit = task / (blocks + panels) / p.groups;
      const int64_t image = (first + unit) / tiles.down, i = (first + unit) % tiles.down;
      static thread_local Scratch lines_scratch;
      float* lines = lines_scratch.floats(6 * (4 * across + 2) * lanes);
      if (which < blocks) {
        const int64_t c = which * lanes, pixels = 4 * across + 2;
        pack_lines({x + (image * p.C + g * channels + c) * h.input * w.input, h.input, w.input},
                   std::min(lanes, channels - c), 4 * i - h.pad_start, 6, -w.pad_start, pixels, lines);
        kernels.input({
            .source = lines,
            .line = pixels * lanes,
            .tiles = across,
            .to = inputs + g * points * input_point + unit * across * tiles.depth + c,
            .to_tile = tiles.depth,
            .to_point = input_point,
        });
      } else {
        const int64_t panel = which - blocks, k = panel * lanes, pixels = 4 * across;
        const int64_t rows = std::min(lanes, filters - k);
        if (rows < lanes) std::fill(lines, lines + 4 * pixels * lanes, 0.0f);
        pack_lines({dy + (image * p.K + g * filters + k) * h.output * w.output, h.output, w.output}, rows, 4 * i, 4, 0,
                   pixels, lines);
        kernels.gradient({
            .source = lines,
            .line = pixels * lanes,
            .tiles = across,
            .to = gradients + g * points * gradient_point + (panel * count + unit * across) * lanes,
            .to_tile = lanes,
            .to_point = gradient_point,
        });
      }
    });
    parallel_for(p.groups * points * pairs, [&](int64_t task) {
      const int64_t pair = task % pairs, point = task / pairs;  // of all groups
      kernels.gradient_product({
          .left = gradients + point * gradient_point + pair * 2 * count * lanes,
          .left_panel = count * lanes,
          .panels = std::min<int64_t>(2, panels - 2 * pair),
          .channels = channels,
          .right = inputs + point * input_point,
          .offset = offset.data(),
          .position = position.data(),
          .tiles = count,
          .sums = sums + (point * panels + 2 * pair) * channels * lanes,
          .accumulate = first > 0,
      });
    });
  }

  constexpr int64_t channels_at_once = 16;
  const int64_t parts = divide_up(channels, channels_at_once);
  std::atomic<bool> finite{true};
  parallel_for(p.groups * panels * parts, [&](int64_t task) {
    const int64_t c = task % parts * channels_at_once, panel = task / parts % panels, g = task / parts / panels;
    const int64_t pair = panel / 2, width = std::min<int64_t>(2, panels - 2 * pair) * lanes, k = panel * lanes;
    static thread_local Scratch taps_scratch;
    if (!kernels.taps({
            .sums = sums + (g * points * panels + 2 * pair) * channels * lanes + c * width + panel % 2 * lanes,
            .sums_channel = width,
            .sums_point = panels * channels * lanes,
            .channels = std::min(channels_at_once, channels - c),
            .rows = std::min(lanes, filters - k),
            .out = dweight + ((g * filters + k) * channels + c) * 9,
            .out_row = channels * 9,
            .taps = taps_scratch.floats(channels_at_once * 9 * lanes),
        })) {
      finite = false;
    }
  });
  return finite;
}

}  // namespace dip::cpu
