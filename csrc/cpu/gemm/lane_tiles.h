// The register tile of products whose vector runs along the rows of the result: lane m of every register belongs to row
// m, and each number of the other operand is broadcast to all of them. It needs no whole vectors along the columns, so
// rows of any width waste nothing.
#pragma once

#include "cpu/gemm/tiles.h"

namespace dip::cpu::DIP_ISA {
namespace {

// As many columns as leave registers for two vectors of the matrix and one broadcast, and not more than a transposed
// vector holds.
#if defined(__AVX512F__)
constexpr int lane_sums = 28, lane_columns = 14;
#elif defined(__AVX2__)
constexpr int lane_sums = 12, lane_columns = 6;
#else
constexpr int lane_sums = 8, lane_columns = 4;
#endif

// What a tile reads. Its depth is three loops of `count`, the outer two of which move on by `step`: vectors of the
// matrix's panels and offsets into `source`.
struct LaneOperands {
  const float* panel;  // [depth][W]
  const std::int64_t* offset;
  std::int64_t count[3], step[2];
  std::int64_t panel_floats;  // distance of the next panel
  const float* source;
  std::int64_t row;              // distance of the rows of a tile
  std::int64_t ahead;            // where a later tile reads, to be fetched meanwhile
  const std::int64_t* position;  // of each column, where they do not lie in steps
};

// sum[v][i][j] += Σ_k panel v [k] · source[offset[k] + i·row + column j], where the columns lie Step apart, or, where
// that is 0, at `position`. Always inlined: else the sums would pass through memory.
template <int V, int R, int Q, int Step>
[[gnu::always_inline]] inline void lane_tile(const LaneOperands& p, F (&sum)[V][R][Q]) {
  for (std::int64_t k0 = 0, a = 0; a < p.count[0]; ++a, k0 += p.step[0]) {
    for (std::int64_t k1 = k0, b = 0; b < p.count[1]; ++b, k1 += p.step[1]) {
      const float* matrix = p.panel + k1 * W;
      const std::int64_t* offset = p.offset + k1;
      for (const std::int64_t* end = offset + p.count[2]; offset < end; ++offset, matrix += W) {
        const float* at = p.source + *offset;
        const std::int64_t* position = p.position;
        asm(""
            : "+r"(
                position));  // else GCC keeps positions in vector registers, whence they take longer than from memory
        __builtin_prefetch(at + p.ahead);
        F left[V];
#pragma GCC unroll 2
        for (int v = 0; v < V; ++v) left[v] = load(matrix + v * p.panel_floats);
#pragma GCC unroll 2
        for (int i = 0; i < R; ++i) {
          const float* next = at + i * p.row;
#pragma GCC unroll 14
          for (int j = 0; j < Q; ++j) {
            const F right = broadcast(next[Step > 0 ? j * Step : position[j]]);
#pragma GCC unroll 2
            for (int v = 0; v < V; ++v) sum[v][i][j] = fma(left[v], right, sum[v][i][j]);
          }
        }
      }
    }
  }
}

// Exchanges halves of ever larger blocks: after the step of distance d every block of 2d × 2d is transposed. With half
// as many vectors as lanes, the two halves of the vectors are transposed side by side.
template <int N>
inline void transpose_square(F (&v)[N]) {
#pragma GCC unroll 4
  for (int d = 1; d < N; d *= 2) {
    I low, high;
    for (int j = 0; j < W; ++j) {
      low[j] = j & d ? W + j - d : j;
      high[j] = j & d ? W + j : j + d;
    }
#pragma GCC unroll 16
    for (int i = 0; i < N; ++i) {
      if (i & d) continue;
      const F a = v[i], b = v[i + d];
      v[i] = __builtin_shuffle(a, b, low);
      v[i + d] = __builtin_shuffle(a, b, high);
    }
  }
}

#if defined(__AVX512F__)
// v[j] = number j of 16 rows. Each quarter of a vector is loaded from a row of its own, which takes no shuffle, so that
// only blocks of 4 × 4 are left to be transposed.
template <class Row>
[[gnu::always_inline]] inline void load_transposed(const Row& row, F (&v)[W]) {
  __m512 a[4][4];  // [quarter of the rows' numbers][row of a block]; a row's quarters at once, while its line is near
#pragma GCC unroll 4
  for (int block = 0; block < 4; ++block) {
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      const float* from = row(4 * block + i);
#pragma GCC unroll 4
      for (int quarter = 0; quarter < 4; ++quarter) {
        const __m128 four = _mm_loadu_ps(from + 4 * quarter);
        a[quarter][i] = block == 0 ? _mm512_castps128_ps512(four)
                                   : _mm512_mask_broadcast_f32x4(a[quarter][i], 0xf << 4 * block, four);
      }
    }
  }
#pragma GCC unroll 4
  for (int quarter = 0; quarter < 4; ++quarter) {
    const auto low = [](__m512 x, __m512 y) { return _mm512_castps_pd(_mm512_unpacklo_ps(x, y)); };
    const auto high = [](__m512 x, __m512 y) { return _mm512_castps_pd(_mm512_unpackhi_ps(x, y)); };
    const __m512d first = low(a[quarter][0], a[quarter][1]), second = low(a[quarter][2], a[quarter][3]);
    const __m512d third = high(a[quarter][0], a[quarter][1]), fourth = high(a[quarter][2], a[quarter][3]);
    v[4 * quarter] = (F)_mm512_unpacklo_pd(first, second);
    v[4 * quarter + 1] = (F)_mm512_unpackhi_pd(first, second);
    v[4 * quarter + 2] = (F)_mm512_unpacklo_pd(third, fourth);
    v[4 * quarter + 3] = (F)_mm512_unpackhi_pd(third, fourth);
  }
}
#endif

// to[j·to_row + i] = from[i·from_row + j] for up to W of i and j.
inline void transpose_block(const float* from, std::int64_t from_row, std::int64_t rows, std::int64_t columns,
                            float* to, std::int64_t to_row) {
  F v[W];
#if defined(__AVX512F__)
  if (rows == W && columns == W) {
    load_transposed([&](int i) { return from + i * from_row; }, v);
#pragma GCC unroll 16
    for (int j = 0; j < W; ++j) store(to + j * to_row, v[j]);
    return;
  }
#endif
  if (rows == W) {
#pragma GCC unroll 16
    for (int i = 0; i < W; ++i) v[i] = load(from + i * from_row, columns);
    transpose_square(v);
    for (int j = 0; j < columns; ++j) store(to + j * to_row, v[j]);
    return;
  }
#if defined(__AVX512F__)
  if (rows == W / 2 && columns == W) {  // as outer_tile's panels are wide
    F half[W / 2];
#pragma GCC unroll 8
    for (int i = 0; i < W / 2; ++i) half[i] = load(from + i * from_row);
    transpose_square(half);
#pragma GCC unroll 8
    for (int j = 0; j < W / 2; ++j) {
      _mm256_storeu_ps(to + j * to_row, _mm512_castps512_ps256((__m512)half[j]));
      _mm256_storeu_ps(to + (j + W / 2) * to_row, _mm512_extractf32x8_ps((__m512)half[j], 1));
    }
    return;
  }
#endif
#pragma GCC unroll 16
  for (int i = 0; i < W; ++i) v[i] = i < rows ? load_some(from + i * from_row, columns) : F{};
  transpose_square(v);
  for (int j = 0; j < columns; ++j) store(to + j * to_row, v[j], rows);
}

// to[j·to_row + i] = from[i·from_row + j]
inline void transpose(const float* from, std::int64_t from_row, std::int64_t rows, std::int64_t columns, float* to,
                      std::int64_t to_row) {
  for (std::int64_t i = 0; i < rows; i += W) {
    for (std::int64_t j = 0; j < columns; j += W) {
      transpose_block(from + i * from_row + j, from_row, lanes_at(i, rows), lanes_at(j, columns), to + j * to_row + i,
                      to_row);
    }
  }
}

}  // namespace
}  // namespace dip::cpu::DIP_ISA
