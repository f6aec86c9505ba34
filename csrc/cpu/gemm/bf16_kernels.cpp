// Splitting and laying out the operands of bfloat16 products, and their results, by AVX-512 with conversions to
// bfloat16: no processor multiplies bfloat16 numbers and lacks those.
#include "cpu/gemm/bf16.h"

#include "cpu/gemm/bf16_parts.h"
#include "cpu/gemm/bf16_weights.h"

namespace dip::cpu::DIP_ISA {
namespace {

// Numbers that lie `step` apart, where the mask has a lane.
inline F load_in_steps(const float* p, std::int64_t step, LaneMask mask) {
  const __m512i low = _mm512_setr_epi64(0, step, 2 * step, 3 * step, 4 * step, 5 * step, 6 * step, 7 * step);
  const __m512i high = _mm512_add_epi64(low, _mm512_set1_epi64(8 * step));
  const __m256 none = _mm256_setzero_ps();
  const auto upper = static_cast<__mmask8>(mask >> 8);
  return (F)_mm512_insertf32x8(
      _mm512_castps256_ps512(_mm512_mask_i64gather_ps(none, static_cast<__mmask8>(mask), low, p, sizeof(float))),
      _mm512_mask_i64gather_ps(none, upper, high, p, sizeof(float)), 1);
}

// W cells of a line, from cell j on, and which of them lie inside it. The step is known beforehand where it is 1 or 2,
// else 0.
template <int step>
struct Cells {
  std::int64_t x, some;    // the first number, and how many cells there are
  LaneMask first, second;  // of the vectors of numbers side by side, or of the cells where the step is any

  Cells(const Bf16Pixels& p, std::int64_t j) : x(p.first + j * p.step), some(lanes_at(j, p.cells)) {
    if constexpr (step == 0) {
      const auto cells_before = [&](std::int64_t end) {
        const std::int64_t cells = x < end ? (end - x - 1) / p.step + 1 : 0;
        return cells < some ? cells : some;
      };
      first = second = lanes_between(cells_before(0), cells_before(p.width));
    } else {
      const std::int64_t end = x + some * step < p.width ? x + some * step : p.width;
      first = lanes_inside(x, end);
      second = lanes_inside(x + W, end);
    }
  }
  F load(const Bf16Pixels& p, const float* line) const {
    if constexpr (step == 1) return load_lanes(line + x, first);
    if constexpr (step == 2) return even_lanes(load_lanes(line + x, first), load_lanes(line + x + W, second));
    return load_in_steps(line + x, p.step, first);
  }
};

// In each of these `given` is copied: the compiler cannot know that the numbers written are not its own.
template <int step, bool only>
void pack_pixels_of_step(const Bf16Pixels& given, Bf16Range& range) {
  const Bf16Pixels p = given;
  const int parts = only ? 1 : p.parts;
  GrowingRange growing(range);
  // What is fetched ahead: the next line, or further along where there is but one.
  const std::int64_t ahead = p.lines > 1 ? p.line_from : 4 * W * p.step;
  const float* source = p.source;
  for (std::int64_t line = 0; line < p.lines; ++line, source += p.line_from) {
    for (std::int64_t j = 0; j < p.cells; j += W) {
      const Cells<step> cells(p, j);
      F rest[bf16_depth];
      for (std::int64_t c = 0; c < p.channels; ++c) {
        const float* from = source + c * p.channel;
        __builtin_prefetch(from + cells.x + ahead);
        rest[c] = cells.load(p, from);
        growing.include(rest[c]);
      }
      for (std::int64_t c = p.channels; c < bf16_depth; ++c) rest[c] = F{};
      for (int part = 0; part < parts; ++part) {
        float* to = reinterpret_cast<float*>(p.to + part * p.part_distance + line * p.line_to + j * bf16_depth);
        F words[W];
#pragma GCC unroll 16
        for (int i = 0; i < W; ++i) words[i] = (F)take_pairs<only>(rest[2 * i], rest[2 * i + 1]);
        transpose_square(words);
#pragma GCC unroll 16
        for (int i = 0; i < W; ++i) {
          if (i < cells.some) store(to + i * W, words[i]);
        }
      }
    }
  }
  growing.save(range);
}

template <int step, bool only>
void pack_channel_of_step(const Bf16Pixels& given, Bf16Range& range) {
  const Bf16Pixels p = given;
  const int parts = only ? 1 : p.parts;
  GrowingRange growing(range);
  for (std::int64_t j = 0; j < p.cells; j += 2 * W) {
    const float* source = p.source;
    std::uint16_t* to = p.to + j;
    const std::int64_t x = p.first + j;
    if (step == 1 && x >= 0 && x + 2 * W <= p.width && j + 2 * W <= p.cells) {  // without masks
      for (std::int64_t line = 0; line < p.lines; ++line, source += p.line_from, to += p.line_to) {
        F low = load(source + x), high = load(source + x + W);
        growing.include(low);
        growing.include(high);
        for (int part = 0; part < parts; ++part) {
          _mm512_storeu_si512(to + part * p.part_distance, take_part<only>(low, high));
        }
      }
      continue;
    }
    const Cells<step> cells(p, j), more(p, j + W < p.cells ? j + W : p.cells);
    const auto mask = static_cast<__mmask32>((std::uint64_t{1} << (cells.some + more.some)) - 1);
    for (std::int64_t line = 0; line < p.lines; ++line, source += p.line_from, to += p.line_to) {
      F low = cells.load(p, source), high = more.load(p, source);
      growing.include(low);
      growing.include(high);
      for (int part = 0; part < parts; ++part) {
        _mm512_mask_storeu_epi16(to + part * p.part_distance, mask, take_part<only>(low, high));
      }
    }
  }
  growing.save(range);
}

template <bool only>
void pack_pixels_of(const Bf16Pixels& p, Bf16Range& range) {
  (p.step == 1   ? pack_pixels_of_step<1, only>
   : p.step == 2 ? pack_pixels_of_step<2, only>
                 : pack_pixels_of_step<0, only>)(p, range);
}

void pack_pixels(const Bf16Pixels& p, Bf16Range& range) {
  (p.parts == 1 ? pack_pixels_of<true> : pack_pixels_of<false>)(p, range);
}

template <bool only>
void pack_channel_of(const Bf16Pixels& p, Bf16Range& range) {
  (p.step == 1   ? pack_channel_of_step<1, only>
   : p.step == 2 ? pack_channel_of_step<2, only>
                 : pack_channel_of_step<0, only>)(p, range);
}

void pack_channel(const Bf16Pixels& p, Bf16Range& range) {
  (p.parts == 1 ? pack_channel_of<true> : pack_channel_of<false>)(p, range);
}

template <bool only>
void pack_columns_of(const Bf16Columns& given, Bf16Range& range) {
  const Bf16Columns p = given;
  const int parts = only ? 1 : p.parts;
  GrowingRange growing(range);
  // Of every run the lanes in the two halves of the depth, and where the first of these would be.
  struct Piece {
    std::int64_t at;
    LaneMask low, high;
  } pieces[bf16_depth];
  for (std::int64_t i = 0; i < p.count; ++i) {
    const Bf16Run& run = p.runs[i];
    const auto lanes = static_cast<std::uint32_t>(((std::uint64_t{1} << run.count) - 1) << run.row);
    pieces[i] = {run.at - run.row, static_cast<LaneMask>(lanes), static_cast<LaneMask>(lanes >> W)};
  }
  for (std::int64_t half = 0; half < 2; ++half) {
    F low[W], high[W];
    for (std::int64_t i = 0; i < W; ++i) {
      const std::int64_t column = half * W + i;
      const std::int64_t count = column < p.columns ? p.count : 0;
      if (count > 0) {
        const float* later = p.source + column * p.column + p.runs[0].at + 4 * bf16_depth;
        __builtin_prefetch(later);
        __builtin_prefetch(later + W);
      }
      I first = {}, second = {};
      for (const Piece* piece = pieces; piece < pieces + count; ++piece) {
        const float* at = p.source + column * p.column + piece->at;
        first |= (I)load_lanes(at, piece->low);
        second |= (I)load_lanes(at + W, piece->high);
      }
      low[i] = (F)first;
      high[i] = (F)second;
      growing.include(low[i]);
      growing.include(high[i]);
    }
    for (int part = 0; part < parts; ++part) {
      F words[W];  // of two numbers of the depth: a column each, to be transposed
#pragma GCC unroll 16
      for (int i = 0; i < W; ++i) words[i] = (F)take_part<only>(low[i], high[i]);
      transpose_square(words);
      float* to = reinterpret_cast<float*>(p.to + part * p.part_distance + half * bf16_half);
#pragma GCC unroll 16
      for (int i = 0; i < W; ++i) store(to + i * W, words[i]);
    }
  }
  growing.save(range);
}

void pack_columns(const Bf16Columns& p, Bf16Range& range) {
  (p.parts == 1 ? pack_columns_of<true> : pack_columns_of<false>)(p, range);
}

template <bool only>
void pack_rows_of(const Bf16Rows& given, Bf16Range& range) {
  const Bf16Rows p = given;
  const int parts = only ? 1 : p.parts;
  GrowingRange growing(range);
  const LaneMask low = lanes_inside(0, p.columns), high = lanes_inside(W, p.columns);
  const float* row = p.source;
  std::uint16_t* to = p.to;
  for (std::int64_t d = 0; d < bf16_depth; d += 2, row += 2 * p.row, to += 2 * W) {
    const bool first = d < p.rows, second = d + 1 < p.rows;
    const LaneMask none = 0;
    F even_low = load_lanes(row, first ? low : none), even_high = load_lanes(row + W, first ? high : none);
    F odd_low = load_lanes(row + p.row, second ? low : none);
    F odd_high = load_lanes(row + p.row + W, second ? high : none);
    growing.include(even_low);
    growing.include(even_high);
    growing.include(odd_low);
    growing.include(odd_high);
    for (int part = 0; part < parts; ++part) {
      std::uint16_t* at = to + part * p.part_distance;
      store(reinterpret_cast<float*>(at), (F)take_pairs<only>(even_low, odd_low));
      store(reinterpret_cast<float*>(at + bf16_half), (F)take_pairs<only>(even_high, odd_high));
    }
  }
  growing.save(range);
}

void pack_rows(const Bf16Rows& p, Bf16Range& range) {
  (p.parts == 1 ? pack_rows_of<true> : pack_rows_of<false>)(p, range);
}

void finish(const Bf16Results& p) {
  constexpr std::int64_t most = 256;
  float row[W][most + W];
  for (std::int64_t begin = 0; begin < p.rows; begin += most) {
    const std::int64_t rows = p.rows - begin < most ? p.rows - begin : most;
    for (std::int64_t column = 0; column < p.columns; column += W) {
      const std::int64_t columns = lanes_at(column, p.columns);
      for (std::int64_t i = 0; i < rows; i += W) {
        transpose_block(p.sums + (begin + i) * bf16_columns + column, bf16_columns, lanes_at(i, rows), columns,
                        row[0] + i, most + W);
      }
      for (std::int64_t c = 0; c < columns; ++c) {
        if (p.bias || p.activation.kind != Activation::none) {
          finish_row(row[c], rows, p.bias ? p.bias[column + c] : 0.0f, p.activation.kind, p.activation.alpha);
        }
        float* out = p.out + (column + c) * p.out_column;
        for (const Bf16Run* run = p.runs; run < p.runs + p.count; ++run) {
          const std::int64_t first = run->row > begin ? run->row : begin;
          const std::int64_t end = run->row + run->count < begin + rows ? run->row + run->count : begin + rows;
          if (first >= end) continue;
          const float* from = row[c] + (first - begin);
          float* to = out + run->at + (first - run->row) * p.out_row;
          if (p.out_row == 1) {
            copy_row(to, from, end - first);
          } else if (p.out_row == 2) {
            for (std::int64_t i = 0; i < end - first; i += W) {
              store_even(to + 2 * i, load_some(from + i, lanes_at(i, end - first)), lanes_at(i, end - first));
            }
          } else {
            for (std::int64_t i = 0; i < end - first; ++i) to[i * p.out_row] = from[i];
          }
        }
      }
    }
  }
}

void finish_lines(const Bf16Lines& p) {
  for (std::int64_t j = 0; j < p.columns; j += W) {
    const std::int64_t some = lanes_at(j, p.columns);
    const F bias = p.bias ? load_some(p.bias + j, some) : F{};
    for (std::int64_t i = 0; i < p.rows; ++i) {
      const F sum = load(p.sums + i * bf16_columns + j) + bias;
      store_some(p.out + i * p.out_row + j, activate(sum, p.activation.kind, p.activation.alpha), some);
    }
  }
}

}  // namespace

extern const Bf16Kernels bf16_kernels = {pack_pixels,  pack_channel, pack_columns, pack_rows,
                                         turn_columns, pack_weights, finish,       finish_lines};

}  // namespace dip::cpu::DIP_ISA
