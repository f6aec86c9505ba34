// Convolution out of bfloat16 products: both operands are split into planes of bfloat16 numbers and laid out as the
// instructions want them, the zero padding included, so that every tap reads the source at a constant shift.
//
// Forward, and backward to the data, the left operand is the source with 32 channels of a pixel side by side, the right
// one the weights, and the rows of a tile are positions of the result. For the gradient of the weights the depth runs
// along the positions: the left operand is x, plane by plane, a channel a row, and the right one dy.
#include <algorithm>
#include <vector>

#include "core/bf16.h"
#include "core/parallel.h"
#include "core/scratch.h"
#include "ops/conv/packed_images.h"
#include "ops/conv/ways.h"

namespace dip::cpu {
namespace {

using std::int64_t;

constexpr int64_t packed_at_most = 3 << 19;  // bytes of the source at a time: they stay in the second-level caches
constexpr int64_t rows_at_once = 224;        // of the result, which use a part of the weights one after the other
constexpr int64_t pieces_at_once = 12;       // of the positions, which stay in the first-level cache for all taps

// Images of groups × channels planes.
struct PackedSource {
  const float* source;
  int64_t groups, channels, height, width;
};

// Packs all images of `layout`, `together` channels at a time: to[group][channels / together][plane][cell][together].
Bf16Range pack_images(const PackedSource& from, const PackedImages& layout, int64_t together, int planes,
                      std::uint16_t* to) {
  const Bf16Kernels& kernels = bf16_kernels();
  const auto pack = together == 1 ? kernels.pack_row : kernels.pack_pixels;
  const int64_t blocks = divide_up(from.channels, together), plane = layout.cells() * together;
  const int64_t from_plane = from.height * from.width;
  const int64_t lines_a_task = divide_up(256, together);
  const int64_t lines = layout.images * layout.h.cells, pieces = divide_up(lines, lines_a_task);
  Bf16Ranges ranges(from.groups * blocks * pieces);
  parallel_for(from.groups * blocks * pieces, [&](int64_t task) {
    const int64_t piece = task % pieces, block = task / pieces % blocks, g = task / pieces / blocks;
    const int64_t begin = piece * lines_a_task, end = std::min(lines, begin + lines_a_task);
    std::uint16_t* block_to = to + (g * blocks + block) * planes * plane;
    for (int64_t phase = 0; phase < layout.h.step * layout.w.step; ++phase) {
      const int64_t a = phase / layout.w.step, b = phase % layout.w.step;
      for (int64_t line = begin; line < end; ++line) {
        const int64_t n = line / layout.h.cells, y = layout.h.place(a, line % layout.h.cells);
        const float* channel = from.source + ((n * from.groups + g) * from.channels + block * together) * from_plane;
        pack({y >= 0 && y < from.height ? channel + y * from.width : nullptr, from_plane,
              std::min(together, from.channels - block * together), from.width, layout.w.place(b, 0), layout.w.step,
              layout.w.cells, layout.h.step * from.width,
              block_to + (phase * layout.phase + line * layout.w.cells) * together, plane, planes},
             ranges.of(task));
      }
      if (end < lines) continue;
      pack({nullptr, 0, 0, 0, 0, 1, layout.tail(), 0,
            block_to + (phase * layout.phase + lines * layout.w.cells) * together, plane, planes},
           ranges.of(task));
    }
  });
  return ranges.merged();
}

// A matrix of weights for every tap, whose rows are those of the results: weight[group + row·r + channel·c + tap].
struct TapWeights {
  const float* weight;
  int64_t group, row, channel;
  int64_t groups, rows, channels;
  std::vector<int64_t> taps;
};

// to[plane][group][rows / 32][channels / 32][tap][32 × 32]
Bf16Range pack_weights(const TapWeights& from, int planes, std::uint16_t* to) {
  const int64_t row_blocks = divide_up(from.rows, bf16_columns), blocks = divide_up(from.channels, bf16_depth);
  const int64_t taps = static_cast<int64_t>(from.taps.size());
  Bf16Ranges ranges(from.groups * row_blocks * blocks);
  parallel_for(from.groups * row_blocks * blocks, [&](int64_t task) {
    const int64_t block = task % blocks, row_block = task / blocks % row_blocks, g = task / blocks / row_blocks;
    const int64_t rows = std::min(bf16_columns, from.rows - row_block * bf16_columns);
    const int64_t channels = std::min(bf16_depth, from.channels - block * bf16_depth);
    const float* first =
        from.weight + g * from.group + row_block * bf16_columns * from.row + block * bf16_depth * from.channel;
    for (int64_t tap = 0; tap < taps; ++tap) {
      float values[bf16_columns][bf16_depth];
      for (int64_t row = 0; row < rows; ++row) {
        const float* at = first + row * from.row + from.taps[tap];
        for (int64_t c = 0; c < channels; ++c) values[row][c] = at[c * from.channel];
      }
      const Bf16Run all{0, 0, channels};
      bf16_kernels().pack_columns({values[0], bf16_depth, rows, &all, 1, to + (task * taps + tap) * bf16_tile,
                                   from.groups * row_blocks * blocks * taps * bf16_tile, planes},
                                  ranges.of(task));
    }
  });
  return ranges.merged();
}

// What a product reads and writes: images of groups × channels planes, and of groups × rows.
struct Planes {
  const float* source;
  int64_t channels, height, width;
  float* out;
  int64_t rows, out_plane;
};

// The weights of all parts, one part after the other.
struct PackedWeights {
  std::vector<std::uint16_t*> part;
  Bf16Range range;

  PackedWeights(TapWeights weights, const std::vector<Part>& parts, int planes, Scratch& scratch) {
    const int64_t tap = planes * weights.groups * divide_up(weights.rows, bf16_columns) *
                        divide_up(weights.channels, bf16_depth) * bf16_tile;
    int64_t taps = 0;
    for (const Part& each : parts) taps += static_cast<int64_t>(each.taps.size());
    std::uint16_t* to = scratch.halves(taps * tap);
    for (const Part& each : parts) {
      part.push_back(to);
      weights.taps = each.taps;
      range.include(pack_weights(weights, planes, to));
      to += static_cast<int64_t>(each.taps.size()) * tap;
    }
  }
};

// The products that make up one part of the results of some images, whose packed source and first results these are.
void multiply_part(const Conv2d& p, const Planes& planes, const Part& part, const PackedImages& layout,
                   const Positions& rows, const std::uint16_t* source, const std::uint16_t* weights, const float* bias,
                   const ActivationSpec& activation, float* out) {
  const Bf16Tiles& tiles = *bf16_tiles();
  const Bf16Split split = bf16_split(p.precision);
  const int64_t row_blocks = divide_up(planes.rows, bf16_columns), blocks = divide_up(planes.channels, bf16_depth);
  const int64_t taps = static_cast<int64_t>(part.taps.size()), plane = layout.cells() * bf16_depth;
  const int64_t panel = blocks * taps * bf16_tile;
  const std::vector<int64_t> cells = layout.taps(part.h, part.w);
  std::vector<Bf16Step> steps;
  for (int64_t block = 0; block < blocks; ++block) {
    for (int64_t tap = 0; tap < taps; ++tap) {
      steps.push_back({block * split.planes * plane + cells[tap] * bf16_depth, (block * taps + tap) * bf16_tile});
    }
  }
  // Neighbouring tasks read the same part of the source.
  const int64_t wanted = divide_up(pieces_wanted, p.groups * row_blocks);
  const int64_t piece =
      std::min(rows_at_once / tiles.rows, divide_up(divide_up(rows.count(), tiles.rows), wanted)) * tiles.rows;
  parallel_for(divide_up(rows.count(), piece) * p.groups * row_blocks, [&](int64_t task) {
    const int64_t row_block = task % row_blocks, g = task / row_blocks % p.groups;
    const int64_t begin = task / row_blocks / p.groups * piece, end = std::min(rows.count(), begin + piece);
    const int64_t k = row_block * bf16_columns, columns = std::min(bf16_columns, planes.rows - k);
    static thread_local Scratch sums_scratch;
    float* sums = sums_scratch.floats(piece * bf16_columns);
    for (int64_t q = begin; q < end; q += tiles.rows) {
      tiles.product({source + g * blocks * split.planes * plane, rows.from.data() + q, plane,
                     weights + (g * row_blocks + row_block) * panel, p.groups * row_blocks * panel, steps.data(),
                     static_cast<int64_t>(steps.size()), sums + (q - begin) * bf16_columns, false},
                    std::min(tiles.rows, end - q), columns, split.products);
    }
    const std::vector<Bf16Run> runs = rows.runs(begin, end);
    const int64_t row = g * planes.rows + k;
    bf16_kernels().finish({sums, end - begin, columns, runs.data(), static_cast<int64_t>(runs.size()),
                           bias ? bias + row : nullptr, activation, out + row * planes.out_plane + part.first,
                           planes.out_plane, part.column});
  });
}

bool product_by_bf16(const Conv2d& p, const Planes& planes, const std::vector<Part>& parts, const TapWeights& weights,
                     const float* bias, const ActivationSpec& activation) {
  const Bf16Split split = bf16_split(p.precision);
  static thread_local Scratch weight_scratch, source_scratch;
  const PackedWeights packed(weights, parts, split.planes, weight_scratch);
  std::vector<const TapAxis*> h_axes, w_axes;
  int64_t depth = 0;
  for (const Part& part : parts) {
    h_axes.push_back(&part.h);
    w_axes.push_back(&part.w);
    depth = std::max(depth, planes.channels * static_cast<int64_t>(part.taps.size()));
  }
  const PackedAxis h(h_axes, planes.height), w(w_axes, planes.width);
  const int64_t of_cell = p.groups * divide_up(planes.channels, bf16_depth) * split.planes * bf16_depth;
  const int64_t batch = std::clamp<int64_t>(packed_at_most / (2 * of_cell * PackedImages(h, w, 1).cells()), 1, p.N);
  const int64_t in_image = p.groups * planes.channels * planes.height * planes.width;
  const int64_t out_image = p.groups * planes.rows * planes.out_plane;
  std::vector<Positions> positions;
  for (int64_t first = 0; first < p.N; first += batch) {
    const PackedImages layout(h, w, std::min(batch, p.N - first));
    std::uint16_t* source = source_scratch.halves(of_cell * layout.cells());
    const Bf16Range range =
        pack_images({planes.source + first * in_image, p.groups, planes.channels, planes.height, planes.width}, layout,
                    bf16_depth, split.planes, source);
    if (!bf16_can_multiply(range, packed.range, depth, split.planes)) return false;
    if (first == 0 || layout.images < batch) {
      positions.clear();
      for (const Part& part : parts) positions.emplace_back(part, layout, out_image, bf16_tiles()->evenly);
    }
    for (std::size_t i = 0; i < parts.size(); ++i) {
      multiply_part(p, planes, parts[i], layout, positions[i], source, packed.part[i], bias, activation,
                    planes.out + first * out_image);
    }
  }
  return true;
}

std::vector<Part> forward_parts(const Conv2d& p) {
  Part part{forward_axis(p.window.h), forward_axis(p.window.w), {}, 0, p.window.w.output, 1};
  for (int64_t tap = 0; tap < p.taps(); ++tap) part.taps.push_back(tap);
  return {part};
}

std::vector<Part> backward_parts(const Conv2d& p) {
  const Axis &h = p.window.h, &w = p.window.w;
  std::vector<Part> parts;
  for (int64_t first_h : met_phases(h)) {
    for (int64_t first_w : met_phases(w)) {
      const TapPhase rows = backward_phase(h, first_h), columns = backward_phase(w, first_w);
      Part part{rows.axis, columns.axis, {}, rows.first * w.input + columns.first, h.stride * w.input, w.stride};
      for (int64_t r : rows.taps) {
        for (int64_t s : columns.taps) part.taps.push_back(r * w.kernel + s);
      }
      parts.push_back(part);
    }
  }
  return parts;
}

// Measured on a Zen 4, in multiply-adds of one float32 lane: what it costs to pack a number of the source and of the
// weights, a plane each, and to bring a result to its place; and how much more where numbers of the source are
// gathered.
constexpr double cost_of_source = 10.0, cost_of_weight = 24.0, cost_of_result = 12.0, cost_of_gathering = 4.0;

bool is_possible(const Conv2d& p) {
  return bf16_serves(p.precision) && p.N > 0;
}

double packing_cost(const TapAxis& w, int64_t numbers, int planes) {
  return (w.step > 2 ? cost_of_gathering : 1.0) * cost_of_source * static_cast<double>(numbers * planes);
}

double product_cost(const Conv2d& p, const std::vector<Part>& parts, int64_t rows, int64_t channels, int64_t height,
                    int64_t width) {
  const Bf16Split split = bf16_split(p.precision);
  const int64_t blocks = divide_up(channels, bf16_depth), depth = blocks * bf16_depth;
  double cost = packing_cost(parts[0].w, depth * height * width, split.planes);
  cost += cost_of_weight * static_cast<double>(rows * p.taps() * depth * split.planes) / static_cast<double>(p.N);
  for (const Part& part : parts) {
    double positions = static_cast<double>(part.h.positions() * part.w.positions());
    cost += cost_of_result * positions * static_cast<double>(rows);
    if (bf16_tiles()->evenly) {
      positions = static_cast<double>(PackedAxis({&part.h}, height).cells * PackedAxis({&part.w}, width).cells);
    }
    cost += bf16_step_cost(positions, bf16_tiles()->rows, rows, split.products) *
            static_cast<double>(blocks * static_cast<int64_t>(part.taps.size()));
  }
  return cost;
}

// Where every position meets just itself, a plane is as good as a line.
Conv2d with_lines_joined(Conv2d p) {
  Axis &h = p.window.h, &w = p.window.w;
  if (p.taps() == 1 && h.stride * w.stride == 1 && h.output == h.input && w.output == w.input && h.pad_start == 0 &&
      w.pad_start == 0) {
    w.input = w.output = h.input * w.input;
    h.input = h.output = 1;
  }
  return p;
}

// Of a tile's rows, each a channel: nearly equal parts, but halves of tiles where rows must be even.
int64_t gradient_channels(const Conv2d& p) {
  const Bf16Tiles& tiles = *bf16_tiles();
  const int64_t nearly = divide_up(p.group_channels(), divide_up(p.group_channels(), tiles.rows));
  return tiles.evenly ? divide_up(nearly, tiles.rows / 2) * (tiles.rows / 2) : nearly;
}

}  // namespace

double forward_bf16_cost(const Conv2d& p) {
  if (!is_possible(p)) return impossible;
  return product_cost(p, forward_parts(p), p.group_filters(), p.group_channels(), p.window.h.input, p.window.w.input);
}

double backward_data_bf16_cost(const Conv2d& p) {
  if (!is_possible(p)) return impossible;
  const std::vector<Part> parts = backward_parts(p);
  return product_cost(p, parts, p.group_channels(), p.group_filters(), p.window.h.output, p.window.w.output);
}

double backward_weight_bf16_cost(const Conv2d& p) {
  if (!is_possible(p)) return impossible;
  const Axis &h = p.window.h, &w = p.window.w;
  const Bf16Split split = bf16_split(p.precision);
  const TapAxis h_axis = forward_axis(h), w_axis = forward_axis(w);
  const int64_t positions = PackedAxis({&h_axis}, h.input).cells * PackedAxis({&w_axis}, w.input).cells;
  const int64_t channels = gradient_channels(p), blocks = divide_up(p.group_channels(), channels);
  const double steps =
      bf16_step_cost(static_cast<double>(blocks * channels), channels, p.group_filters(), split.products);
  return steps * static_cast<double>(p.taps() * positions) / bf16_depth +
         packing_cost(w_axis, p.group_channels() * h.input * w.input, split.planes) +
         packing_cost(w_axis, divide_up(p.group_filters(), bf16_columns) * bf16_columns * positions, split.planes);
}

bool forward_by_bf16(const Conv2d& given, const float* x, const float* weight, const float* bias, float* y) {
  const Conv2d p = with_lines_joined(given);
  const Axis &h = p.window.h, &w = p.window.w;
  const int64_t channels = p.group_channels(), rows = p.group_filters();
  return product_by_bf16(
      p, {x, channels, h.input, w.input, y, rows, h.output * w.output}, forward_parts(p),
      {weight, rows * channels * p.taps(), channels * p.taps(), p.taps(), p.groups, rows, channels, {}}, bias,
      p.activation);
}

bool backward_data_by_bf16(const Conv2d& given, const float* dy, const float* weight, float* dx) {
  const Conv2d p = with_lines_joined(given);
  const Axis &h = p.window.h, &w = p.window.w;
  const int64_t rows = p.group_channels(), channels = p.group_filters();
  return product_by_bf16(p, {dy, channels, h.output, w.output, dx, rows, h.input * w.input}, backward_parts(p),
                         {weight, rows * channels * p.taps(), p.taps(), rows * p.taps(), p.groups, rows, channels, {}},
                         nullptr, {});
}

bool backward_weight_by_bf16(const Conv2d& given, const float* dy, const float* x, float* dweight) {
  const Conv2d p = with_lines_joined(given);
  const Axis &h = p.window.h, &w = p.window.w;
  const Bf16Kernels& kernels = bf16_kernels();
  const Bf16Tiles& tiles = *bf16_tiles();
  const Bf16Split split = bf16_split(p.precision);
  const int64_t channels = p.group_channels(), filters = p.group_filters(), taps = p.taps();
  const int64_t in_image = p.C * h.input * w.input, out_plane = h.output * w.output;
  const int64_t channel_step = gradient_channels(p), channel_blocks = divide_up(channels, channel_step);
  const int64_t filter_blocks = divide_up(filters, bf16_columns);
  const Part part = forward_parts(p)[0];
  const PackedAxis packed_h({&part.h}, h.input), packed_w({&part.w}, w.input);
  const int64_t cells = packed_h.cells * packed_w.cells;
  const int64_t image_halves =
      split.planes * (p.C * packed_h.step * packed_w.step + p.groups * filter_blocks * bf16_columns) * cells;
  const int64_t batch = std::clamp<int64_t>(packed_at_most / (2 * image_halves), 1, p.N);
  const int64_t row_channels = p.groups * channels + tiles.rows;  // the last tile reads on
  const int64_t tile_sums = tiles.rows * bf16_columns, tiles_of_sums = p.groups * filter_blocks * channel_blocks;

  static thread_local Scratch x_scratch, dy_scratch, sums_scratch;
  float* sums = sums_scratch.floats(tiles_of_sums * taps * tile_sums);
  for (int64_t first = 0; first < p.N; first += batch) {
    const int64_t images = std::min(batch, p.N - first);
    const PackedImages layout(packed_h, packed_w, images);
    const Positions positions(part, layout, p.K * out_plane, true);
    const int64_t plane = layout.cells(), pieces = divide_up(positions.count(), bf16_depth);
    std::uint16_t* x_packed = x_scratch.halves(row_channels * split.planes * plane);
    std::uint16_t* dy_packed = dy_scratch.halves(split.planes * p.groups * filter_blocks * pieces * bf16_tile);
    Bf16Range x_range =
        pack_images({x + first * in_image, p.groups, channels, h.input, w.input}, layout, 1, split.planes, x_packed);
    const int64_t dy_plane = p.groups * filter_blocks * pieces * bf16_tile;
    Bf16Ranges dy_ranges(p.groups * filter_blocks * pieces);
    parallel_ranges(p.groups * filter_blocks * pieces, 4, [&](int64_t begin, int64_t end) {
      for (int64_t task = begin; task < end; ++task) {
        const int64_t q = task % pieces * bf16_depth, block = task / pieces % filter_blocks;
        const int64_t g = task / pieces / filter_blocks;
        const int64_t some = std::min(bf16_columns, filters - block * bf16_columns);
        const std::vector<Bf16Run> runs = positions.runs(q, std::min(positions.count(), q + bf16_depth));
        kernels.pack_columns(
            {dy + ((first * p.groups + g) * filters + block * bf16_columns) * out_plane, out_plane, some, runs.data(),
             static_cast<int64_t>(runs.size()), dy_packed + task * bf16_tile, dy_plane, split.planes},
            dy_ranges.of(task));
      }
    });
    if (!bf16_can_multiply(x_range, dy_ranges.merged(), p.N * out_plane, split.planes)) return false;
    std::vector<Bf16Step> steps;
    for (int64_t piece = 0; piece < pieces; ++piece) steps.push_back({piece * bf16_depth, piece * bf16_tile});
    std::vector<int64_t> rows;
    for (int64_t c = 0; c < tiles.rows; ++c) rows.push_back(c * split.planes * plane);
    const std::vector<int64_t> tap_cells = layout.taps(part.h, part.w);
    const int64_t tap_pieces = std::min(taps, divide_up(pieces_wanted, tiles_of_sums));
    parallel_for(tiles_of_sums * tap_pieces, [&](int64_t piece) {
      const int64_t task = piece / tap_pieces, tap_begin = piece % tap_pieces * taps / tap_pieces;
      const int64_t tap_end = (piece % tap_pieces + 1) * taps / tap_pieces;
      const int64_t c = task % channel_blocks * channel_step, k = task / channel_blocks;
      const int64_t g = k / filter_blocks;
      const int64_t some = std::min(channel_step, channels - c);
      for (int64_t begin = 0; begin < pieces; begin += pieces_at_once) {
        for (int64_t tap = tap_begin; tap < tap_end; ++tap) {
          tiles.product({x_packed + (g * channels + c) * split.planes * plane + tap_cells[tap], rows.data(), plane,
                         dy_packed + k * pieces * bf16_tile, dy_plane, steps.data() + begin,
                         std::min(pieces_at_once, pieces - begin), sums + (task * taps + tap) * tile_sums,
                         first > 0 || begin > 0},
                        some, std::min(bf16_columns, filters - k % filter_blocks * bf16_columns), split.products);
        }
      }
    });
  }
  parallel_for(tiles_of_sums, [&](int64_t task) {
    const int64_t c = task % channel_blocks * channel_step, k = task / channel_blocks % filter_blocks * bf16_columns;
    const int64_t g = task / channel_blocks / filter_blocks;
    for (int64_t m = 0; m < std::min(bf16_columns, filters - k); ++m) {
      float* to = dweight + ((g * filters + k + m) * channels + c) * taps;
      for (int64_t i = 0; i < std::min(channel_step, channels - c); ++i) {
        const float* from = sums + task * taps * tile_sums + i * bf16_columns + m;
        for (int64_t tap = 0; tap < taps; ++tap) *to++ = from[tap * tile_sums];
      }
    }
  });
  return true;
}

}  // namespace dip::cpu
