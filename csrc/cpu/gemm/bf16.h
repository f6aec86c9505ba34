// Matrix products out of bfloat16 numbers, summed in float32, on processors that have instructions for them.
//
// A float32 number is the sum of three bfloat16 numbers, each of which rounds what the ones before it leave: its
// parts. The product of two numbers is that of their first parts, with an error near 2⁻⁸ of it (`medium`); with two
// parts each it takes three products, with an error near 2⁻¹⁶ (`high`); and with three parts six, which leave out
// less than one rounding of a float32 product does (`highest`). Henry, Tang and Heinecke, "Leveraging the bfloat16
// Artificial Intelligence Datatype For Higher-Precision Computations", ARITH 2019.
#pragma once

#include <cstdint>
#include <vector>

#include "core/activation_kind.h"
#include "core/precision.h"
#include "cpu/isa.h"

namespace dip::cpu {

constexpr std::int64_t bf16_depth = 32;    // of a tile
constexpr std::int64_t bf16_columns = 32;  // of a tile, in two halves
constexpr std::int64_t bf16_tile = bf16_depth * bf16_columns, bf16_half = bf16_tile / 2;

struct Bf16Split {
  int parts, products;
};
inline Bf16Split bf16_split(Precision precision) {
  switch (precision) {
    case Precision::medium: return {1, 1};
    case Precision::high: return {2, 3};
    default: return {3, 6};
  }
}

// The smallest absolute value but for zeros and the largest one of the numbers that were packed, as bits, for each lane
// of the vectors they were in.
struct Bf16Range {
  std::int32_t smallest[16], largest[16];

  Bf16Range() {
    for (int lane = 0; lane < 16; ++lane) {
      smallest[lane] = 0x7fffffff;
      largest[lane] = 0;
    }
  }
  void include(const Bf16Range& other) {
    for (int lane = 0; lane < 16; ++lane) {
      if (other.smallest[lane] < smallest[lane]) smallest[lane] = other.smallest[lane];
      if (other.largest[lane] > largest[lane]) largest[lane] = other.largest[lane];
    }
  }
};

// One range for each task of a loop.
class Bf16Ranges {
 public:
  explicit Bf16Ranges(std::int64_t tasks) : ranges_(tasks) {}
  Bf16Range& of(std::int64_t task) { return ranges_[task]; }
  Bf16Range merged() const {
    Bf16Range all;
    for (const Bf16Range& range : ranges_) all.include(range);
    return all;
  }

 private:
  std::vector<Bf16Range> ranges_;
};

// Whether sums of `depth` products of such numbers come out right. The instructions take numbers below 2⁻¹²⁶ for zeros,
// infinities less infinities leave no parts, and zeros are multiplied where a sum reaches beyond an image.
bool bf16_can_multiply(const Bf16Range& a, const Bf16Range& b, std::int64_t depth, int parts);

// Lines of cells of the left operand: to[part][line][cell][32 channels].
struct Bf16Pixels {
  const float* source;  // first line of the first channel
  std::int64_t channel, channels, width;
  std::int64_t first, step;       // cell i is the number first + i·step of the line, zero outside [0, width)
  std::int64_t cells;             // of a line
  std::int64_t lines, line_from;  // so many, and their distance in the source
  std::uint16_t* to;
  std::int64_t line_to, part_distance;
  int parts;
};

// Numbers that lie side by side: those from `at` on belong to the rows of a product, or to the depth, from `row` on.
struct Bf16Run {
  std::int64_t row, at, count;
};

// to[part][half][depth / 2][16 columns][2] of a tile of the right operand; zeros beyond `columns` and between the
// runs.
struct Bf16Columns {
  const float* source;
  std::int64_t column;  // distance of the columns
  std::int64_t columns;
  const Bf16Run* runs;  // of the depth
  std::int64_t count;
  std::uint16_t* to;
  std::int64_t part_distance;
  int parts;
};

// The same tile of rows of the depth, up to 32 of up to 32 numbers side by side.
struct Bf16Rows {
  const float* source;
  std::int64_t row;  // distance of the rows
  std::int64_t rows, columns;
  std::uint16_t* to;
  std::int64_t part_distance;
  int parts;
};

// One part of such a tile from columns that are of bfloat16 numbers already.
struct Bf16Turn {
  const std::uint16_t* from;
  std::int64_t column;  // distance of the columns
  std::int64_t columns;
  std::uint16_t* to;
};

// Tiles of weights, to[part][wanted tap]: up to 32 lines of up to 32 numbers, each with all taps side by side. The
// lines are the columns of the tiles, or the depth.
struct Bf16Weights {
  const float* source;
  std::int64_t line;  // distance of the lines
  std::int64_t lines, numbers, taps;
  const std::int64_t* wanted;
  std::int64_t count;  // of wanted taps
  bool lines_are_columns;
  std::uint16_t* rounded;  // memory for `parts` times 32 × 32 × taps
  std::uint16_t* to;
  std::int64_t part_distance;
  int parts;
};

// out[column·out_column + run.at + i·out_row] = activation(sums[run.row + i][column] + bias[column])
struct Bf16Results {
  const float* sums;  // rows × 32
  std::int64_t rows, columns;
  const Bf16Run* runs;
  std::int64_t count;
  const float* bias;  // may be null
  ActivationSpec activation;
  float* out;
  std::int64_t out_column, out_row;
};

// out[i·out_row + j] = activation(sums[i][j] + bias[j])
struct Bf16Lines {
  const float* sums;  // rows × 32
  std::int64_t rows, columns;
  const float* bias;  // may be null
  ActivationSpec activation;
  float* out;
  std::int64_t out_row;
};

struct Bf16Kernels {
  void (*pack_pixels)(const Bf16Pixels& p, Bf16Range& range);
  void (*pack_channel)(const Bf16Pixels& p, Bf16Range& range);  // of one channel: to[part][line][cell]
  void (*pack_columns)(const Bf16Columns& p, Bf16Range& range);
  void (*pack_rows)(const Bf16Rows& p, Bf16Range& range);
  void (*turn_columns)(const Bf16Turn& p);
  void (*pack_weights)(const Bf16Weights& p, Bf16Range& range);
  void (*finish)(const Bf16Results& p);
  void (*finish_lines)(const Bf16Lines& p);
};

// Where 32 numbers of the depth begin, of each operand.
struct Bf16Step {
  std::int64_t a, b;
};

// sums[i][j] (+)= Σ_steps Σ_d a[row[i] + step.a + d] · b[step.b + j / 16 half, d / 2, j % 16, d % 2], for all the
// products of parts that the precision asks for.
struct Bf16Product {
  const std::uint16_t* a;
  const std::int64_t* row;
  std::int64_t a_part;
  const std::uint16_t* b;
  std::int64_t b_part;
  const Bf16Step* steps;
  std::int64_t count;
  float* sums;  // rows × 32
  bool accumulate;
};

// What multiplies: up to `rows` rows and 16 or 32 columns at once.
struct Bf16Tiles {
  std::int64_t rows;
  bool evenly;  // rows [0, 16) and [16, 32) must each be evenly spaced, all of them readable, and `sums` have room
  int most_parts;
  // What a step of a tile costs, in multiply-adds that a lane of float32 vectors could do meanwhile.
  double (*step_cost)(std::int64_t rows, std::int64_t columns, int products);
  void (*product)(const Bf16Product& p, std::int64_t rows, std::int64_t columns, int products);
};

const Bf16Tiles* bf16_tiles();  // those of the active instruction set; null where it has none
bool bf16_serves(Precision precision);

// What rows × columns of sums cost for each step, in tiles of most_rows at most.
double bf16_step_cost(double rows, std::int64_t most_rows, std::int64_t columns, int products);

const Bf16Kernels& bf16_kernels();  // only where there are tiles

namespace avx512_bf16 {
extern const Bf16Kernels bf16_kernels;
extern const Bf16Tiles tiles;
}  // namespace avx512_bf16
namespace amx {
extern const Bf16Tiles tiles;
}
namespace amx_emulated {
extern const Bf16Tiles tiles;
}

}  // namespace dip::cpu
