// Splitting and laying out the operands of bfloat16 products, and their results, compiled once for each instruction
// set.
#include "core/bf16.h"

#include "core/lane_tiles.h"

namespace dip::cpu::DIP_ISA {
namespace {

typedef std::uint16_t Halves __attribute__((vector_size(W * 2)));

// The bits of v rounded to its upper half, ties to even, the lower half left as it is; NaN stays NaN.
inline I rounded_bits(F v) {
  const I bits = (I)v;
  return v == v ? bits + 0x7fff + ((bits >> 16) & 1) : bits | 0x400000;
}

// A range and the numbers that are included meanwhile. No destructor: its cleanup would be a symbol that files compiled
// for different instruction sets share.
struct GrowingRange {
  I smallest, largest;

  explicit GrowingRange(const Bf16Range& range) {
    __builtin_memcpy(&smallest, range.smallest, sizeof smallest);
    __builtin_memcpy(&largest, range.largest, sizeof largest);
  }
  void include(F v) {
    const I bits = (I)v & 0x7fffffff;
    smallest = bits != 0 && bits < smallest ? bits : smallest;
    largest = bits > largest ? bits : largest;
  }
  void save(Bf16Range& range) const {
    store(range.smallest, smallest);
    store(range.largest, largest);
  }
};

// Two rounded numbers in every word, and what the rounding leaves of them.
inline I take_plane(F& low, F& high) {
  const I first = rounded_bits(low), second = rounded_bits(high) & static_cast<std::int32_t>(0xffff0000);
  low -= (F)(first & static_cast<std::int32_t>(0xffff0000));
  high -= (F)second;
  return ((first >> 16) & 0xffff) | second;
}

// The numbers [x, x + W) of a row of `width`, zeros outside.
inline F load_inside(const float* row, std::int64_t x, std::int64_t width) {
  return x >= 0 && x + W <= width ? load(row + x) : load_lanes(row + x, lanes_inside(x, width));
}

// The cells [j, j + W) of a row.
inline F load_cells(const Bf16Pixels& p, const float* row, std::int64_t j) {
  const std::int64_t x = p.first + j * p.step, some = lanes_at(j, p.cells);
  F v = {};
  if (p.step == 1) {
    v = load_inside(row, x, p.width);
  } else if (p.step == 2) {
    v = even_lanes(load_inside(row, x, p.width), load_inside(row, x + W, p.width));
  } else {
    for (std::int64_t i = 0; i < some; ++i) {
      const std::int64_t at = x + i * p.step;
      if (at >= 0 && at < p.width) v[i] = row[at];
    }
  }
  return first_only(v, some, 0.0f);
}

inline void store_halves(std::uint16_t* to, Halves v, std::int64_t n) {
#if defined(__AVX512F__)
  _mm256_mask_storeu_epi16(to, first_lanes(n), (__m256i)v);
#else
  for (int i = 0; i < n; ++i) to[i] = v[i];
#endif
}

void store_zeros(std::uint16_t* to, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) to[i] = 0;
}

void pack_pixels(const Bf16Pixels& p, Bf16Range& range) {
  if (!p.source) {
    for (int plane = 0; plane < p.planes; ++plane) store_zeros(p.to + plane * p.plane, p.cells * bf16_depth);
    return;
  }
  GrowingRange growing(range);
  for (std::int64_t j = 0; j < p.cells; j += W) {
    const std::int64_t some = lanes_at(j, p.cells);
    F rest[bf16_depth];
    for (std::int64_t c = 0; c < bf16_depth; ++c) {
      const float* row = p.source + c * p.channel;
      __builtin_prefetch(row + p.first + j * p.step + p.ahead);
      rest[c] = c < p.channels ? load_cells(p, row, j) : F{};
      growing.include(rest[c]);
    }
    for (int plane = 0; plane < p.planes; ++plane) {
      float* to = reinterpret_cast<float*>(p.to + plane * p.plane + j * bf16_depth);
      for (std::int64_t pair = 0; pair < bf16_depth / 2; pair += W) {
        F words[W];
#pragma GCC unroll 16
        for (int i = 0; i < W; ++i) words[i] = (F)take_plane(rest[2 * (pair + i)], rest[2 * (pair + i) + 1]);
        transpose_square(words);
#pragma GCC unroll 16
        for (int i = 0; i < W; ++i) {
          if (i < some) store(to + i * (bf16_depth / 2) + pair, words[i]);
        }
      }
    }
  }
  growing.save(range);
}

void pack_row(const Bf16Pixels& p, Bf16Range& range) {
  if (!p.source) {
    for (int plane = 0; plane < p.planes; ++plane) store_zeros(p.to + plane * p.plane, p.cells);
    return;
  }
  GrowingRange growing(range);
  for (std::int64_t j = 0; j < p.cells; j += W) {
    const std::int64_t some = lanes_at(j, p.cells);
    F rest = load_cells(p, p.source, j);
    growing.include(rest);
    for (int plane = 0; plane < p.planes; ++plane) {
      const I bits = rounded_bits(rest);
      rest -= (F)(bits & static_cast<std::int32_t>(0xffff0000));
      const Halves halves = __builtin_convertvector((bits >> 16) & 0xffff, Halves);
      store_halves(p.to + plane * p.plane + j, halves, some);
    }
  }
  growing.save(range);
}

void pack_columns(const Bf16Columns& p, Bf16Range& range) {
  GrowingRange growing(range);
  for (std::int64_t half = 0; half < 2; ++half) {
    // Words of two numbers of the depth: [column][pair], to be transposed.
    float words[3][16][bf16_depth / 2];
    for (std::int64_t i = 0; i < 16; ++i) {
      const std::int64_t column = half * 16 + i;
      float depth[bf16_depth] = {};
      for (const Bf16Run* run = p.runs; run < p.runs + (column < p.columns ? p.count : 0); ++run) {
        copy_row(depth + run->row, p.source + column * p.column + run->at, run->count);
      }
      for (std::int64_t d = 0; d < bf16_depth; d += 2 * W) {
        F even = load_even(depth + d, 2 * W), odd = load_even(depth + d + 1, 2 * W - 1);
        growing.include(even);
        growing.include(odd);
        for (int plane = 0; plane < p.planes; ++plane) store(words[plane][i] + d / 2, (F)take_plane(even, odd));
      }
    }
    for (int plane = 0; plane < p.planes; ++plane) {
      transpose(words[plane][0], bf16_depth / 2, 16, bf16_depth / 2,
                reinterpret_cast<float*>(p.to + plane * p.plane + half * bf16_half), 16);
    }
  }
  growing.save(range);
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

extern const Bf16Kernels bf16_kernels = {pack_pixels, pack_row, pack_columns, finish, finish_lines};

}  // namespace dip::cpu::DIP_ISA
