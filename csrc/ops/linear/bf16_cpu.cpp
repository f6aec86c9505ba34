// Linear layers out of bfloat16 products (cpu/gemm/bf16.h). The left operand is packed as a whole, the right one a
// panel of 32 columns at a time by the task that uses it.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <iterator>
#include <limits>

#include "core/check.h"
#include "cpu/costs.h"
#include "cpu/gemm/bf16.h"
#include "cpu/gemm/kernels.h"
#include "cpu/parallel.h"
#include "cpu/scratch.h"
#include "ops/linear/bf16.h"
#include "ops/linear/kernels.h"

namespace dip::cpu {
namespace {

using std::int64_t;

constexpr int64_t tasks_wanted = 16;

// Vectors of numbers to be multiplied: number d of vector i at data[i·vector + d·depth], where one distance is 1.
struct Operand {
  const float* data;
  int64_t vector, depth;
};

// So many vectors from `first` on, numbers [d, d + count) of each side by side: in their place, or transposed.
struct Block {
  const float* from;
  int64_t vector;
  float values[bf16_columns][bf16_depth];

  Block(const Operand& operand, int64_t first, int64_t vectors, int64_t d, int64_t count)
      : from(operand.data + first * operand.vector + d * operand.depth), vector(operand.vector) {
    if (operand.depth == 1) return;
    packing_kernels().transpose(from, operand.depth, count, vectors, values[0], bf16_depth);
    from = values[0];
    vector = bf16_depth;
  }
};

// to[part][row][padded], with rows `pitch` apart.
Bf16Range pack_left(const Operand& a, int64_t rows, int64_t depth, int64_t padded, int64_t pitch, int64_t part_distance,
                    int parts, std::uint16_t* to) {
  const int64_t step = a.depth == 1 ? padded : bf16_depth;
  Bf16Ranges ranges(divide_up(rows, bf16_columns));
  parallel_ranges(rows, bf16_columns, [&](int64_t begin, int64_t end) {
    for (int64_t d = 0; d < depth; d += step) {
      const int64_t some = std::min(step, depth - d);
      const Block block(a, begin, end - begin, d, some);
      bf16_kernels().pack_channel(
          {
              .source = block.from,
              .channel = 0,
              .channels = 1,
              .width = some,
              .first = 0,
              .step = 1,
              .cells = step,
              .lines = end - begin,
              .line_from = block.vector,
              .to = to + begin * pitch + d,
              .line_to = pitch,
              .part_distance = part_distance,
              .parts = parts,
          },
          ranges.of(begin / bf16_columns));
    }
  });
  return ranges.merged();
}

// The tiles of up to 32 vectors of the right operand: to[part][block][tile].
void pack_right(const Operand& b, int64_t first, int64_t vectors, int64_t depth, int64_t padded, int parts,
                std::uint16_t* to, Bf16Range& range) {
  const float* source = b.data + first * b.vector;
  const int64_t part_distance = padded * bf16_columns;
  if (b.depth != 1) {
    for (int64_t d = 0; d < depth; d += bf16_depth) {
      bf16_kernels().pack_rows(
          {
              .source = source + d * b.depth,
              .row = b.depth,
              .rows = std::min(bf16_depth, depth - d),
              .columns = vectors,
              .to = to + d * bf16_columns,
              .part_distance = part_distance,
              .parts = parts,
          },
          range);
    }
    return;
  }
  // One whole vector after the other: from many that lie in different places they would come more slowly.
  const int64_t pitch = padded + bf16_depth;
  static thread_local Scratch scratch;
  std::uint16_t* rounded = scratch.halves(parts * bf16_columns * pitch);
  for (int64_t i = 0; i < vectors; ++i) {
    bf16_kernels().pack_channel(
        {
            .source = source + i * b.vector,
            .channel = 0,
            .channels = 1,
            .width = depth,
            .first = 0,
            .step = 1,
            .cells = padded,
            .lines = 1,
            .line_from = 0,
            .to = rounded + i * pitch,
            .line_to = 0,
            .part_distance = bf16_columns * pitch,
            .parts = parts,
        },
        range);
  }
  for (int part = 0; part < parts; ++part) {
    for (int64_t d = 0; d < padded; d += bf16_depth) {
      bf16_kernels().turn_columns({
          .from = rounded + part * bf16_columns * pitch + d,
          .column = pitch,
          .columns = vectors,
          .to = to + part * part_distance + d * bf16_columns,
      });
    }
  }
}

// The sizes of a product, and whether its right operand must be turned to fill tiles.
struct Sizes {
  int64_t rows, columns, depth;
  bool turned;
};

Sizes sizes_of(LinearProduct which, const Linear& p) {
  switch (which) {
    case LinearProduct::forward: return {p.N, p.out, p.in, true};
    case LinearProduct::backward_data: return {p.N, p.in, p.out, false};
    default: return {p.out, p.in, p.N, false};
  }
}

// How many tasks share the rows of a panel.
int64_t pieces_of_rows(int64_t rows, int64_t columns) {
  return std::min(divide_up(rows, bf16_tiles()->rows), divide_up(tasks_wanted, divide_up(columns, bf16_columns)));
}

// result = a · b + bias, with the rows of a and the columns of b as vectors.
bool multiply(LinearProduct which, const Linear& p, const Operand& a, const Operand& b, const float* bias,
              const ActivationSpec& activation, float* result) {
  const auto [rows, columns, depth, turned] = sizes_of(which, p);
  if (rows * columns * depth == 0 || !takes_bf16(linear_costs(which, p))) return false;
  const Bf16Tiles& tiles = *bf16_tiles();
  const Bf16Split split = bf16_split(p.precision);
  const int64_t panels = divide_up(columns, bf16_columns), blocks = divide_up(depth, bf16_depth);
  const int64_t pieces = pieces_of_rows(rows, columns);

  // A tile's rows, 2048 bytes or a multiple from each other, would drive each other out of the first-level cache.
  const int64_t padded = blocks * bf16_depth, pitch = padded % 1024 == 0 ? padded + bf16_depth : padded;
  const int64_t part_distance = (rows + tiles.rows) * pitch;  // the last tile reads on
  static thread_local Scratch left_scratch;
  std::uint16_t* left = left_scratch.halves(split.parts * part_distance);
  const Bf16Range left_range = pack_left(a, rows, depth, padded, pitch, part_distance, split.parts, left);
  std::vector<Bf16Step> steps;
  for (int64_t block = 0; block < blocks; ++block) steps.push_back({block * bf16_depth, block * bf16_tile});
  std::vector<int64_t> row;
  for (int64_t i = 0; i < tiles.rows; ++i) row.push_back(i * pitch);

  std::atomic<bool> fit{true};
  parallel_for(panels * pieces, [&](int64_t task) {
    const int64_t j = task % panels * bf16_columns, some = std::min(bf16_columns, columns - j);
    const int64_t begin = task / panels * rows / pieces, end = (task / panels + 1) * rows / pieces;
    static thread_local Scratch right_scratch, sums_scratch;
    std::uint16_t* right = right_scratch.halves(split.parts * blocks * bf16_tile);
    float* sums = sums_scratch.floats(tiles.rows * bf16_columns);
    Bf16Range range;
    pack_right(b, j, some, depth, padded, split.parts, right, range);
    if (!bf16_can_multiply(left_range, range, depth, split.parts)) {
      fit = false;
      return;
    }
    // Of like heights where they may be: a low tile would have too few sums to keep the multipliers busy.
    const int64_t height = tiles.evenly ? tiles.rows : divide_up(end - begin, divide_up(end - begin, tiles.rows));
    for (int64_t i = begin; i < end; i += height) {
      const int64_t lines = std::min(height, end - i);
      tiles.product(
          {
              .a = left + i * pitch,
              .row = row.data(),
              .a_part = part_distance,
              .b = right,
              .b_part = blocks * bf16_tile,
              .steps = steps.data(),
              .count = blocks,
              .sums = sums,
              .accumulate = false,
          },
          lines, some, split.products);
      bf16_kernels().finish_lines({
          .sums = sums,
          .rows = lines,
          .columns = some,
          .bias = bias ? bias + j : nullptr,
          .activation = activation,
          .out = result + i * columns + j,
          .out_row = columns,
      });
    }
  });
  return fit;
}

constexpr const char* way_names[] = {"bf16", "float32"};

// The index of the way that is asked for; −1: none.
std::atomic<int> asked{-1};

}  // namespace

LinearCosts linear_costs(LinearProduct which, const Linear& p) {
  const auto [rows, columns, depth, turned] = sizes_of(which, p);
  const double results = static_cast<double>(rows * columns);
  LinearCosts both{std::numeric_limits<double>::infinity(),
                   costs().linear_float32 * results * static_cast<double>(depth)};
  if (!bf16_serves(p.precision) || rows * columns * depth == 0) return both;
  const Bf16Split split = bf16_split(p.precision);
  const double steps = static_cast<double>(divide_up(depth, bf16_depth));
  const double left = static_cast<double>(rows * depth * split.parts);
  const double right = (turned ? 1.0 : costs().linear_rows) *
                       static_cast<double>(pieces_of_rows(rows, columns) * columns * depth * split.parts);
  both.bf16 =
      steps * bf16_step_cost(static_cast<double>(rows), std::min(rows, bf16_tiles()->rows), columns, split.products) +
      costs().linear_pack * (left + right) + costs().linear_result * results;
  return both;
}

bool takes_bf16(const LinearCosts& costs) {
  if (std::isinf(costs.bf16)) return false;
  const int index = asked;
  return index < 0 ? costs.bf16 <= costs.float32 : index == 0;
}

void set_linear_way(const std::string& name) {
  const auto found = std::find(std::begin(way_names), std::end(way_names), name);
  check(name == "auto" || found != std::end(way_names),
        "set_linear_way: name must be \"auto\", \"bf16\" or \"float32\", got \"", name, "\"");
  asked = name == "auto" ? -1 : static_cast<int>(found - std::begin(way_names));
}

bool linear_forward_by_bf16(const Linear& p, const float* x, const float* weight, const float* bias, float* y) {
  return multiply(LinearProduct::forward, p, {x, p.in, 1}, {weight, p.in, 1}, bias, p.activation, y);
}

bool linear_backward_data_by_bf16(const Linear& p, const float* dy, const float* weight, float* dx) {
  return multiply(LinearProduct::backward_data, p, {dy, p.out, 1}, {weight, 1, p.in}, nullptr, {}, dx);
}

bool linear_backward_weight_by_bf16(const Linear& p, const float* dy, const float* x, float* dweight) {
  return multiply(LinearProduct::backward_weight, p, {dy, 1, p.out}, {x, 1, p.in}, nullptr, {}, dweight);
}

}  // namespace dip::cpu
