// The two register tiles under every convolution and linear kernel. Each keeps a block of results in registers, so
// that one load feeds several fused multiply-adds.
#pragma once

#include "cpu/simd_math.h"

namespace dip::cpu::DIP_ISA {
namespace {

// outer_tile: MR rows × NV vectors of results, plus NV loaded vectors and one broadcast, fill the registers:
// 8·3 + 3 + 1 of AVX-512's 32; 6·2 + 2 + 1 of the 16 there are otherwise.
#if defined(__AVX512F__)
constexpr int MR = 8, NV = 3;
constexpr int dot_rows = 6, dot_columns = 4;
#else
constexpr int MR = 6, NV = 2;
constexpr int dot_rows = 3, dot_columns = 3;
#endif
constexpr int NR = NV * W;

// Of a product's depth, what is summed at a time: its operands stay in the first-level cache.
constexpr std::int64_t depth_block = 384;

// The loops over a tile are unrolled by pragma: left to itself GCC 12 keeps the tile in memory at its ends.

// c[m][j] (+)= Σ_k a[k·MR + m] · b[offset[k] + j] for M rows and V vectors. The last vector of b holds `last` readable
// columns when Partial. Two loads a fused multiply-add at most; the sum runs over k in order.
template <int M, int V, bool Partial>
inline void outer_tile(const float* a, const float* b, const std::int64_t* offset, std::int64_t depth, float* c,
                       std::int64_t c_row, bool accumulate, std::int64_t last) {
  F sum[M][V];
  if (accumulate) {
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m) {
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) sum[m][v] = load(c + m * c_row + v * W);
    }
  } else {
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m) {
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) sum[m][v] = F{};
    }
  }
  for (std::int64_t k = 0; k < depth; ++k) {
    const float* row = b + offset[k];
    F column[V];
    for (int v = 0; v < V; ++v) {
      column[v] = Partial && v == V - 1 ? load(row + v * W, last) : load(row + v * W);
    }
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m) {
      const F scale = broadcast(a[k * MR + m]);
      for (int v = 0; v < V; ++v) sum[m][v] = fma(scale, column[v], sum[m][v]);
    }
  }
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m) {
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) store(c + m * c_row + v * W, sum[m][v]);
  }
}

using OuterTile = void (*)(const float*, const float*, const std::int64_t*, std::int64_t, float*, std::int64_t, bool,
                           std::int64_t);

template <int M>
inline OuterTile outer_tile_of_width(int vectors, bool partial) {
  switch (vectors) {
    case 1: return partial ? outer_tile<M, 1, true> : outer_tile<M, 1, false>;
    case 2: return partial ? outer_tile<M, 2, true> : outer_tile<M, 2, false>;
    default: return partial ? outer_tile<M, NV, true> : outer_tile<M, NV, false>;
  }
}

inline OuterTile choose_outer_tile(std::int64_t rows, int vectors, bool partial) {
  switch (rows) {
    case 1: return outer_tile_of_width<1>(vectors, partial);
    case 2: return outer_tile_of_width<2>(vectors, partial);
    case 3: return outer_tile_of_width<3>(vectors, partial);
    case 4: return outer_tile_of_width<4>(vectors, partial);
    case 5: return outer_tile_of_width<5>(vectors, partial);
    case 6: return outer_tile_of_width<6>(vectors, partial);
    case 7: return outer_tile_of_width<MR == 8 ? 7 : 1>(vectors, partial);
    default: return outer_tile_of_width<MR>(vectors, partial);
  }
}

// Rows of contiguous numbers to be multiplied and summed: `batches` × `segments` pieces of `length`, whose first
// elements lie `batch` and `segment` apart; row r begins at `row[r]`.
struct DotOperand {
  const float* row[6];
  std::int64_t batch, segment;
};

// out[m·out_row + n·out_column] (+)= Σ a_m · b_n over all pieces. Each lane sums its own share, then the lanes are
// added in a fixed tree: the error grows with the number of vectors, not of elements.
template <int M, int N>
inline void dot_tile(const DotOperand& a, const DotOperand& b, std::int64_t batches, std::int64_t segments,
                     std::int64_t length, float* out, std::int64_t out_row, std::int64_t out_column, bool accumulate) {
  F sum[M][N];
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m) {
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) sum[m][n] = F{};
  }
  for (std::int64_t batch = 0; batch < batches; ++batch) {
    for (std::int64_t segment = 0; segment < segments; ++segment) {
      const std::int64_t a0 = batch * a.batch + segment * a.segment;
      const std::int64_t b0 = batch * b.batch + segment * b.segment;
      std::int64_t i = 0;
      for (; i + W <= length; i += W) {
        F right[N];
        for (int n = 0; n < N; ++n) right[n] = load(b.row[n] + b0 + i);
        for (int m = 0; m < M; ++m) {
          const F left = load(a.row[m] + a0 + i);
          for (int n = 0; n < N; ++n) sum[m][n] = fma(left, right[n], sum[m][n]);
        }
      }
      if (i < length) {
        F right[N];
        for (int n = 0; n < N; ++n) right[n] = load(b.row[n] + b0 + i, length - i);
        for (int m = 0; m < M; ++m) {
          const F left = load(a.row[m] + a0 + i, length - i);
          for (int n = 0; n < N; ++n) sum[m][n] = fma(left, right[n], sum[m][n]);
        }
      }
    }
  }
  for (int m = 0; m < M; ++m) {
    for (int n = 0; n < N; ++n) {
      float& result = out[m * out_row + n * out_column];
      result = accumulate ? result + horizontal_sum(sum[m][n]) : horizontal_sum(sum[m][n]);
    }
  }
}

using DotTile = void (*)(const DotOperand&, const DotOperand&, std::int64_t, std::int64_t, std::int64_t, float*,
                         std::int64_t, std::int64_t, bool);

template <int M>
inline DotTile dot_tile_of_width(std::int64_t columns) {
  switch (columns) {
    case 1: return dot_tile<M, 1>;
    case 2: return dot_tile<M, 2>;
    case 3: return dot_tile<M, 3>;
    default: return dot_tile<M, dot_columns>;
  }
}

inline DotTile choose_dot_tile(std::int64_t rows, std::int64_t columns) {
  switch (rows) {
    case 1: return dot_tile_of_width<1>(columns);
    case 2: return dot_tile_of_width<2>(columns);
    case 3: return dot_tile_of_width<3>(columns);
    case 4: return dot_tile_of_width<dot_rows == 6 ? 4 : 1>(columns);
    case 5: return dot_tile_of_width<dot_rows == 6 ? 5 : 1>(columns);
    default: return dot_tile_of_width<dot_rows>(columns);
  }
}

// row[j] = activation(row[j] + bias)
inline void finish_row(float* row, std::int64_t count, float bias, Activation kind, float alpha) {
  std::int64_t j = 0;
  for (; j + W <= count; j += W) store(row + j, activate(load(row + j) + bias, kind, alpha));
  if (j < count) store(row + j, activate(load(row + j, count - j) + bias, kind, alpha), count - j);
}

inline void copy_row(float* to, const float* from, std::int64_t count) {
  std::int64_t j = 0;
  for (; j + W <= count; j += W) store(to + j, load(from + j));
  if (j < count) store(to + j, load(from + j, count - j), count - j);
}

}  // namespace
}  // namespace dip::cpu::DIP_ISA
