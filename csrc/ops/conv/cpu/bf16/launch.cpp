// Convolution out of bfloat16 products: both operands are split into parts of bfloat16 numbers and laid out as the
// instructions want them, the zero padding included, so that every tap reads the source at a constant shift.
//
// Forward, and backward to the data, the left operand is the source with 32 channels of a pixel side by side, the right
// one the weights, and the rows of a tile are positions of the result. backward_weight.cpp has the third product.
#include <algorithm>
#include <vector>

#include "cpu/costs.h"
#include "cpu/gemm/bf16.h"
#include "cpu/parallel.h"
#include "cpu/scratch.h"
#include "ops/conv/cpu/bf16/packed_images.h"
#include "ops/conv/cpu/ways.h"

namespace dip::cpu {
namespace {

using std::int64_t;

constexpr int64_t rows_at_once = 224;  // of the result, which use a piece of the weights one after the other

// Weights as a matrix for every tap that is wanted, rows of results × channels of the source, where they lie
// [group][line][number][tap]: the lines are the rows and the numbers the channels, or the other way round.
struct TapWeights {
  const float* weight;
  int64_t groups, rows, channels, taps;
  bool lines_are_rows;
  std::vector<int64_t> wanted;
};

// to[part][group][rows / 32][channels / 32][wanted tap][32 × 32]
Bf16Range pack_weights(const TapWeights& from, int parts, std::uint16_t* to) {
  const int64_t row_blocks = divide_up(from.rows, bf16_columns), blocks = divide_up(from.channels, bf16_depth);
  const int64_t wanted = static_cast<int64_t>(from.wanted.size());
  const int64_t line = (from.lines_are_rows ? from.channels : from.rows) * from.taps;
  Bf16Ranges ranges(from.groups * row_blocks * blocks);
  parallel_for(from.groups * row_blocks * blocks, [&](int64_t task) {
    static thread_local Scratch rounded;
    const int64_t block = task % blocks, row_block = task / blocks % row_blocks, g = task / blocks / row_blocks;
    const int64_t row = row_block * bf16_columns, rows = std::min(bf16_columns, from.rows - row);
    const int64_t channel = block * bf16_depth, channels = std::min(bf16_depth, from.channels - channel);
    const int64_t first_line = from.lines_are_rows ? row : channel, first = from.lines_are_rows ? channel : row;
    bf16_kernels().pack_weights(
        {
            .source = from.weight + g * from.rows * from.channels * from.taps + first_line * line + first * from.taps,
            .line = line,
            .lines = from.lines_are_rows ? rows : channels,
            .numbers = from.lines_are_rows ? channels : rows,
            .taps = from.taps,
            .wanted = from.wanted.data(),
            .count = wanted,
            .lines_are_columns = from.lines_are_rows,
            .rounded = rounded.halves(parts * bf16_tile * from.taps),
            .to = to + task * wanted * bf16_tile,
            .part_distance = from.groups * row_blocks * blocks * wanted * bf16_tile,
            .parts = parts,
        },
        ranges.of(task));
  });
  return ranges.merged();
}

// What a product reads and writes: images of groups × channels planes, and of groups × rows.
struct Bf16Maps {
  const float* source;
  int64_t channels, height, width;
  float* out;
  int64_t rows, out_plane;
};

// The weights of all phases, packed one phase after the other.
struct PackedWeights {
  std::vector<std::uint16_t*> phase;
  Bf16Range range;

  PackedWeights(TapWeights weights, const std::vector<OutputPhase>& phases, int parts, Scratch& scratch) {
    const int64_t tap = parts * weights.groups * divide_up(weights.rows, bf16_columns) *
                        divide_up(weights.channels, bf16_depth) * bf16_tile;
    int64_t taps = 0;
    for (const OutputPhase& each : phases) taps += static_cast<int64_t>(each.taps.size());
    std::uint16_t* to = scratch.halves(taps * tap);
    for (const OutputPhase& each : phases) {
      phase.push_back(to);
      weights.wanted = each.taps;
      range.include(pack_weights(weights, parts, to));
      to += static_cast<int64_t>(each.taps.size()) * tap;
    }
  }
};

// The products that make up one phase of the results of some images.
struct PhaseProducts {
  std::vector<Bf16Step> steps;
  const Positions& rows;
  int64_t piece;  // so many rows at a time
  const std::uint16_t* weights;
  int64_t first, column;  // where the results begin, and how far apart they lie
};

// What lies where in the products of some images.
struct Bf16Layout {
  Bf16Split split;
  int64_t groups, row_blocks, blocks, part_distance;
};

std::vector<PhaseProducts> products_of(const std::vector<OutputPhase>& phases, const PackedImages& images,
                                       const std::vector<Positions>& positions, const PackedWeights& packed,
                                       const Bf16Layout& layout) {
  const Bf16Tiles& tiles = *bf16_tiles();
  const int64_t wanted = divide_up(pieces_wanted, layout.groups * layout.row_blocks);
  std::vector<PhaseProducts> products;
  for (std::size_t i = 0; i < phases.size(); ++i) {
    const OutputPhase& phase = phases[i];
    const int64_t taps = static_cast<int64_t>(phase.taps.size());
    const std::vector<int64_t> cells = images.taps(phase.h, phase.w);
    std::vector<Bf16Step> steps;
    for (int64_t block = 0; block < layout.blocks; ++block) {
      for (int64_t tap = 0; tap < taps; ++tap) {
        steps.push_back({block * layout.split.parts * layout.part_distance + cells[tap] * bf16_depth,
                         (block * taps + tap) * bf16_tile});
      }
    }
    const int64_t rows = divide_up(positions[i].count(), tiles.rows);
    const int64_t piece = std::min(rows_at_once / tiles.rows, divide_up(rows, wanted)) * tiles.rows;
    products.push_back({
        .steps = std::move(steps),
        .rows = positions[i],
        .piece = piece,
        .weights = packed.phase[i],
        .first = phase.first,
        .column = phase.column,
    });
  }
  return products;
}

// Computes all phases of some images, whose packed source and first results these are. A task computes a piece of every
// phase, nearly the same place of the results, while their lines are in the cache.
void multiply_phases(const Bf16Maps& maps, const std::vector<PhaseProducts>& phases, const Bf16Layout& layout,
                     const std::uint16_t* source, const float* bias, const ActivationSpec& activation, float* out) {
  const Bf16Tiles& tiles = *bf16_tiles();
  int64_t pieces = 0;
  for (const PhaseProducts& phase : phases) {
    pieces = std::max(pieces, divide_up(phase.rows.count(), std::max<int64_t>(phase.piece, 1)));
  }
  // Neighbouring tasks read the same lines of the source.
  parallel_for(pieces * layout.groups * layout.row_blocks, [&](int64_t task) {
    const int64_t row_block = task % layout.row_blocks, g = task / layout.row_blocks % layout.groups;
    const int64_t k = row_block * bf16_columns, columns = std::min(bf16_columns, maps.rows - k);
    const int64_t row = g * maps.rows + k, number = task / layout.row_blocks / layout.groups;
    static thread_local Scratch sums_scratch;
    float* sums = sums_scratch.floats(rows_at_once * bf16_columns);
    for (const PhaseProducts& phase : phases) {
      const int64_t begin = number * phase.piece, end = std::min(phase.rows.count(), begin + phase.piece);
      if (begin >= end) continue;
      const int64_t panel = static_cast<int64_t>(phase.steps.size()) * bf16_tile;
      for (int64_t q = begin; q < end; q += tiles.rows) {
        tiles.product(
            {
                .a = source + g * layout.blocks * layout.split.parts * layout.part_distance,
                .row = phase.rows.from.data() + q,
                .a_part = layout.part_distance,
                .b = phase.weights + (g * layout.row_blocks + row_block) * panel,
                .b_part = layout.groups * layout.row_blocks * panel,
                .steps = phase.steps.data(),
                .count = static_cast<int64_t>(phase.steps.size()),
                .sums = sums + (q - begin) * bf16_columns,
                .accumulate = false,
            },
            std::min(tiles.rows, end - q), columns, layout.split.products);
      }
      const std::vector<Bf16Run> runs = phase.rows.runs(begin, end);
      bf16_kernels().finish({
          .sums = sums,
          .rows = end - begin,
          .columns = columns,
          .runs = runs.data(),
          .count = static_cast<int64_t>(runs.size()),
          .bias = bias ? bias + row : nullptr,
          .activation = activation,
          .out = out + row * maps.out_plane + phase.first,
          .out_column = maps.out_plane,
          .out_row = phase.column,
      });
    }
  });
}

bool product_by_bf16(const Conv2d& p, const Bf16Maps& maps, const std::vector<OutputPhase>& phases,
                     const TapWeights& weights, const float* bias, const ActivationSpec& activation) {
  const Bf16Split split = bf16_split(p.precision);
  static thread_local Scratch weight_scratch, source_scratch;
  const PackedWeights packed(weights, phases, split.parts, weight_scratch);
  std::vector<const TapAxis*> h_axes, w_axes;
  int64_t depth = 0;
  for (const OutputPhase& phase : phases) {
    h_axes.push_back(&phase.h);
    w_axes.push_back(&phase.w);
    depth = std::max(depth, maps.channels * static_cast<int64_t>(phase.taps.size()));
  }
  const PackedAxis h(h_axes, maps.height), w(w_axes, maps.width);
  const int64_t of_cell = p.groups * divide_up(maps.channels, bf16_depth) * split.parts * bf16_depth;
  const int64_t batch = std::clamp<int64_t>(packed_at_most / (2 * of_cell * PackedImages(h, w, 1).cells()), 1, p.N);
  const int64_t in_image = p.groups * maps.channels * maps.height * maps.width;
  const int64_t out_image = p.groups * maps.rows * maps.out_plane;
  std::vector<Positions> positions;
  std::vector<PhaseProducts> products;
  Bf16Layout places{
      .split = split,
      .groups = p.groups,
      .row_blocks = divide_up(maps.rows, bf16_columns),
      .blocks = divide_up(maps.channels, bf16_depth),
      .part_distance = 0,
  };
  for (int64_t first = 0; first < p.N; first += batch) {
    const PackedImages layout(h, w, std::min(batch, p.N - first));
    std::uint16_t* source = source_scratch.halves(of_cell * layout.cells());
    const Bf16Range range =
        pack_images({maps.source + first * in_image, p.groups, maps.channels, maps.height, maps.width}, layout,
                    bf16_depth, split.parts, source);
    if (!bf16_can_multiply(range, packed.range, depth, split.parts)) return false;
    if (first == 0 || layout.images < batch) {
      positions.clear();
      for (const OutputPhase& phase : phases) positions.emplace_back(phase, layout, out_image, bf16_tiles()->evenly);
      places.part_distance = layout.cells() * bf16_depth;
      products = products_of(phases, layout, positions, packed, places);
    }
    multiply_phases(maps, products, places, source, bias, activation, maps.out + first * out_image);
  }
  return true;
}

std::vector<OutputPhase> output_phases(const DataPlan& plan) {
  const Axis &h = plan.p.window.h, &w = plan.p.window.w;
  std::vector<OutputPhase> phases;
  for (const TapPhase& rows : plan.h) {
    for (const TapPhase& columns : plan.w) {
      OutputPhase phase{rows.axis,          columns.axis, {}, rows.first * w.input + columns.first,
                        h.stride * w.input, w.stride};
      for (int64_t r : rows.taps) {
        for (int64_t s : columns.taps) phase.taps.push_back(r * w.kernel + s);
      }
      phases.push_back(phase);
    }
  }
  return phases;
}

double product_cost(const Conv2d& p, const std::vector<OutputPhase>& phases, int64_t rows, int64_t channels,
                    int64_t height, int64_t width) {
  const Bf16Split split = bf16_split(p.precision);
  const int64_t blocks = divide_up(channels, bf16_depth), depth = blocks * bf16_depth;
  double cost = packing_cost(phases[0].w, depth * height * width, split.parts);
  cost += costs().bf16_weight * static_cast<double>(rows * p.taps() * depth * split.parts) / static_cast<double>(p.N);
  for (const OutputPhase& phase : phases) {
    double positions = static_cast<double>(phase.h.positions() * phase.w.positions());
    cost += costs().bf16_result * positions * static_cast<double>(rows);
    if (bf16_tiles()->evenly) {
      positions = static_cast<double>(PackedAxis({&phase.h}, height).cells * PackedAxis({&phase.w}, width).cells);
    }
    cost += bf16_step_cost(positions, bf16_tiles()->rows, rows, split.products) *
            static_cast<double>(blocks * static_cast<int64_t>(phase.taps.size()));
  }
  return cost;
}

}  // namespace

double forward_bf16_cost(const ForwardPlan& plan) {
  const Conv2d& p = plan.p;
  if (!bf16_is_possible(p)) return impossible;
  return product_cost(p, {forward_phase(plan)}, p.group_filters(), p.group_channels(), p.window.h.input,
                      p.window.w.input);
}

double backward_data_bf16_cost(const DataPlan& plan) {
  const Conv2d& p = plan.p;
  if (!bf16_is_possible(p)) return impossible;
  const std::vector<OutputPhase> phases = output_phases(plan);
  return product_cost(p, phases, p.group_channels(), p.group_filters(), p.window.h.output, p.window.w.output);
}

bool forward_by_bf16(const ForwardPlan& plan, const float* x, const float* weight, const float* bias, float* y) {
  const ForwardPlan joined = with_lines_joined(plan);
  const Conv2d& p = joined.p;
  const Axis &h = p.window.h, &w = p.window.w;
  const int64_t channels = p.group_channels(), rows = p.group_filters();
  return product_by_bf16(p,
                         {
                             .source = x,
                             .channels = channels,
                             .height = h.input,
                             .width = w.input,
                             .out = y,
                             .rows = rows,
                             .out_plane = h.output * w.output,
                         },
                         {forward_phase(joined)},
                         {
                             .weight = weight,
                             .groups = p.groups,
                             .rows = rows,
                             .channels = channels,
                             .taps = p.taps(),
                             .lines_are_rows = true,
                             .wanted = {},
                         },
                         bias, p.activation);
}

bool backward_data_by_bf16(const DataPlan& plan, const float* dy, const float* weight, float* dx) {
  const DataPlan joined = with_lines_joined(plan);
  const Conv2d& p = joined.p;
  const Axis &h = p.window.h, &w = p.window.w;
  const int64_t rows = p.group_channels(), channels = p.group_filters();
  return product_by_bf16(p,
                         {
                             .source = dy,
                             .channels = channels,
                             .height = h.output,
                             .width = w.output,
                             .out = dx,
                             .rows = rows,
                             .out_plane = h.input * w.input,
                         },
                         output_phases(joined),
                         {
                             .weight = weight,
                             .groups = p.groups,
                             .rows = rows,
                             .channels = channels,
                             .taps = p.taps(),
                             .lines_are_rows = false,
                             .wanted = {},
                         },
                         nullptr, {});
}

}  // namespace dip::cpu
