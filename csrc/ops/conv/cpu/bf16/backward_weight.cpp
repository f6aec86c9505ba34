// The gradient of a convolution's weights out of bfloat16 products. The depth runs along the positions: the left
// operand is x, plane by plane, a channel a row, and the right one dy.
#include <algorithm>
#include <vector>

#include "cpu/gemm/bf16.h"
#include "cpu/parallel.h"
#include "cpu/scratch.h"
#include "ops/conv/cpu/bf16/packed_images.h"
#include "ops/conv/cpu/ways.h"

namespace dip::cpu {
namespace {

using std::int64_t;

constexpr int64_t pieces_at_once = 12;  // of the positions, which stay in the first-level cache for all taps

// The rows of the tiles: a tap of a channel each. Where rows must be evenly spaced, a tile's are channels at one tap,
// and as many as fill half of it or all; else any, in the order of the weights, so that few channels fill tiles too.
struct GradientRows {
  int64_t channels, taps;
  bool evenly;
  int64_t step;    // rows of a tile
  int64_t blocks;  // tiles for all rows, or for all channels at one tap

  explicit GradientRows(const Conv2d& p) : channels(p.group_channels()), taps(p.taps()) {
    const Bf16Tiles& of = *bf16_tiles();
    evenly = of.evenly;
    const int64_t rows = evenly ? channels : channels * taps, nearly = divide_up(rows, divide_up(rows, of.rows));
    step = evenly ? divide_up(nearly, of.rows / 2) * (of.rows / 2) : nearly;
    blocks = divide_up(rows, step);
  }
  int64_t tiles() const { return evenly ? blocks * taps : blocks; }
  int64_t count(int64_t tile) const {
    return evenly ? std::min(step, channels - tile / taps * step) : std::min(step, channels * taps - tile * step);
  }
  // The number c · taps + tap of a tile's row.
  int64_t number(int64_t tile, int64_t row) const {
    return evenly ? (tile / taps * step + row) * taps + tile % taps : tile * step + row;
  }
};

}  // namespace

double backward_weight_bf16_cost(const WeightPlan& plan) {
  const Conv2d& p = plan.p;
  if (!bf16_is_possible(p)) return impossible;
  const Axis &h = p.window.h, &w = p.window.w;
  const Bf16Split split = bf16_split(p.precision);
  const int64_t positions = PackedAxis({&plan.h}, h.input).cells * PackedAxis({&plan.w}, w.input).cells;
  const GradientRows rows(p);
  const double steps =
      bf16_step_cost(static_cast<double>(rows.tiles() * rows.step), rows.step, p.group_filters(), split.products);
  return steps * static_cast<double>(positions) / bf16_depth +
         packing_cost(plan.w, p.group_channels() * h.input * w.input, split.parts) +
         packing_cost(plan.w, divide_up(p.group_filters(), bf16_columns) * bf16_columns * positions, split.parts);
}

bool backward_weight_by_bf16(const WeightPlan& plan, const float* dy, const float* x, float* dweight) {
  const WeightPlan joined = with_lines_joined(plan);
  const Conv2d& p = joined.p;
  const Axis &h = p.window.h, &w = p.window.w;
  const Bf16Kernels& kernels = bf16_kernels();
  const Bf16Tiles& tiles = *bf16_tiles();
  const Bf16Split split = bf16_split(p.precision);
  const int64_t channels = p.group_channels(), filters = p.group_filters(), taps = p.taps();
  const int64_t in_image = p.C * h.input * w.input, out_plane = h.output * w.output;
  const GradientRows rows(p);
  const int64_t filter_blocks = divide_up(filters, bf16_columns);
  const OutputPhase phase = forward_phase(joined);
  const PackedAxis packed_h({&phase.h}, h.input), packed_w({&phase.w}, w.input);
  const int64_t cells = packed_h.cells * packed_w.cells;
  const int64_t image_halves =
      split.parts * (p.C * packed_h.step * packed_w.step + p.groups * filter_blocks * bf16_columns) * cells;
  const int64_t batch = std::clamp<int64_t>(packed_at_most / (2 * image_halves), 1, p.N);
  const int64_t row_channels = p.groups * channels + tiles.rows;  // the last tile reads on
  const int64_t tile_sums = tiles.rows * bf16_columns, panels = p.groups * filter_blocks;

  static thread_local Scratch x_scratch, dy_scratch, sums_scratch;
  float* sums = sums_scratch.floats(panels * rows.tiles() * tile_sums);
  for (int64_t first = 0; first < p.N; first += batch) {
    const int64_t images = std::min(batch, p.N - first);
    const PackedImages layout(packed_h, packed_w, images);
    const Positions positions(phase, layout, p.K * out_plane, true);
    const int64_t part_distance = layout.cells(), pieces = divide_up(positions.count(), bf16_depth);
    std::uint16_t* x_packed = x_scratch.halves(row_channels * split.parts * part_distance);
    std::uint16_t* dy_packed = dy_scratch.halves(split.parts * p.groups * filter_blocks * pieces * bf16_tile);
    Bf16Range x_range =
        pack_images({x + first * in_image, p.groups, channels, h.input, w.input}, layout, 1, split.parts, x_packed);
    const int64_t dy_plane = p.groups * filter_blocks * pieces * bf16_tile;
    Bf16Ranges dy_ranges(p.groups * filter_blocks * pieces);
    parallel_ranges(p.groups * filter_blocks * pieces, 4, [&](int64_t begin, int64_t end) {
      for (int64_t task = begin; task < end; ++task) {
        const int64_t q = task % pieces * bf16_depth, block = task / pieces % filter_blocks;
        const int64_t g = task / pieces / filter_blocks;
        const int64_t some = std::min(bf16_columns, filters - block * bf16_columns);
        const std::vector<Bf16Run> runs = positions.runs(q, std::min(positions.count(), q + bf16_depth));
        kernels.pack_columns(
            {
                .source = dy + ((first * p.groups + g) * filters + block * bf16_columns) * out_plane,
                .column = out_plane,
                .columns = some,
                .runs = runs.data(),
                .count = static_cast<int64_t>(runs.size()),
                .to = dy_packed + task * bf16_tile,
                .part_distance = dy_plane,
                .parts = split.parts,
            },
            dy_ranges.of(task));
      }
    });
    if (!bf16_can_multiply(x_range, dy_ranges.merged(), p.N * out_plane, split.parts)) return false;
    std::vector<Bf16Step> steps;
    for (int64_t piece = 0; piece < pieces; ++piece) steps.push_back({piece * bf16_depth, piece * bf16_tile});
    // Where each row begins, of tiles at the first channel and tap where rows are evenly spaced.
    const std::vector<int64_t> tap_cells = layout.taps(phase.h, phase.w);
    const int64_t channel_distance = split.parts * part_distance;
    std::vector<int64_t> from;
    for (int64_t row = 0; row < (rows.evenly ? tiles.rows : channels * taps); ++row) {
      from.push_back(rows.evenly ? row * channel_distance : row / taps * channel_distance + tap_cells[row % taps]);
    }
    const int64_t tile_pieces = std::min(rows.tiles(), divide_up(pieces_wanted, panels));
    parallel_for(panels * tile_pieces, [&](int64_t task) {
      const int64_t panel = task / tile_pieces, number = task % tile_pieces, g = panel / filter_blocks;
      const int64_t tile_begin = number * rows.tiles() / tile_pieces;
      const int64_t tile_end = (number + 1) * rows.tiles() / tile_pieces;
      const std::uint16_t* group = x_packed + g * channels * channel_distance;
      for (int64_t begin = 0; begin < pieces; begin += pieces_at_once) {
        for (int64_t tile = tile_begin; tile < tile_end; ++tile) {
          const int64_t c = tile / taps * rows.step;  // of evenly spaced ones
          tiles.product(
              {
                  .a = rows.evenly ? group + c * channel_distance + tap_cells[tile % taps] : group,
                  .row = rows.evenly ? from.data() : from.data() + tile * rows.step,
                  .a_part = part_distance,
                  .b = dy_packed + panel * pieces * bf16_tile,
                  .b_part = dy_plane,
                  .steps = steps.data() + begin,
                  .count = std::min(pieces_at_once, pieces - begin),
                  .sums = sums + (panel * rows.tiles() + tile) * tile_sums,
                  .accumulate = first > 0 || begin > 0,
              },
              rows.count(tile), std::min(bf16_columns, filters - panel % filter_blocks * bf16_columns), split.products);
        }
      }
    });
  }
  parallel_for(panels * rows.tiles(), [&](int64_t task) {
    const int64_t tile = task % rows.tiles(), panel = task / rows.tiles(), g = panel / filter_blocks;
    const int64_t k = panel % filter_blocks * bf16_columns;
    for (int64_t m = 0; m < std::min(bf16_columns, filters - k); ++m) {
      float* to = dweight + (g * filters + k + m) * channels * taps;
      const float* from = sums + task * tile_sums + m;
      for (int64_t i = 0; i < rows.count(tile); ++i) to[rows.number(tile, i)] = from[i * bf16_columns];
    }
  });
  return true;
}

}  // namespace dip::cpu
