// Tiles of bfloat16 products by AVX512-BF16's dot products of pairs: twice the multiply-adds of float32 vectors where
// the processor takes one such instruction in the time of a float32 one (AMD), so for one product each, not for three.
#include <immintrin.h>

#include <utility>

#include "cpu/gemm/bf16.h"

namespace dip::cpu::avx512_bf16 {
namespace {

constexpr int most_rows = 14;  // two sums for each row, two vectors of b and a broadcast fill the registers

template <int R, int V>
void dot_tile(const Bf16Product& p) {
  __m512 sum[R][V];
#pragma GCC unroll 14
  for (int i = 0; i < R; ++i) {
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) {
      sum[i][v] = p.accumulate ? _mm512_loadu_ps(p.sums + i * bf16_columns + v * 16) : _mm512_setzero_ps();
    }
  }
  for (const Bf16Step* step = p.steps; step < p.steps + p.count; ++step) {
    const std::uint16_t* a = p.a + step->a;
    const std::uint16_t* b = p.b + step->b;
    for (const std::uint16_t* end = b + bf16_half; b < end; a += 2, b += 32) {
      __m512bh right[V];
#pragma GCC unroll 2
      for (int v = 0; v < V; ++v) right[v] = (__m512bh)_mm512_loadu_si512(b + v * bf16_half);
#pragma GCC unroll 14
      for (int i = 0; i < R; ++i) {
        std::int32_t pair;
        __builtin_memcpy(&pair, a + p.row[i], sizeof pair);
        const __m512bh left = (__m512bh)_mm512_set1_epi32(pair);
#pragma GCC unroll 2
        for (int v = 0; v < V; ++v) sum[i][v] = _mm512_dpbf16_ps(sum[i][v], left, right[v]);
      }
    }
  }
#pragma GCC unroll 14
  for (int i = 0; i < R; ++i) {
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) _mm512_storeu_ps(p.sums + i * bf16_columns + v * 16, sum[i][v]);
  }
}

using DotTile = void (*)(const Bf16Product&);

template <int... R>
void run(const Bf16Product& p, std::int64_t rows, std::int64_t columns, std::integer_sequence<int, R...>) {
  static constexpr DotTile tiles[2][most_rows] = {{dot_tile<R + 1, 1>...}, {dot_tile<R + 1, 2>...}};
  tiles[columns > 16][rows - 1](p);
}

void product(const Bf16Product& p, std::int64_t rows, std::int64_t columns, int) {
  run(p, rows, columns, std::make_integer_sequence<int, most_rows>());
}

// An instruction takes as long as a float32 vector's multiply-add, and a sum some time before it can be added to again.
double step_cost(std::int64_t rows, std::int64_t columns, int) {
  constexpr std::int64_t pairs = bf16_depth / 2, lanes = 16, fewest = 9;
  const std::int64_t sums = rows * (columns > 16 ? 2 : 1);
  return static_cast<double>(pairs * lanes * (sums > fewest ? sums : fewest));
}

}  // namespace

extern const Bf16Tiles tiles = {most_rows, false, 1, step_cost, product};

}  // namespace dip::cpu::avx512_bf16
