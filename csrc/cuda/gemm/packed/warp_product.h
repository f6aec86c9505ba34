// The packed product of a tile by mma.sync: each warp computes a part of it.
#pragma once

#include "cuda/gemm/packed/tiles.h"

namespace dip::cuda {

// The sums of a warp's part of a tile, 16 × 8 blocks, as tensor cores leave them in its lanes.
template <class T>
struct WarpSums {
  static constexpr int blocks_down = T::warp_rows / 16, blocks_across = T::warp_columns / 8;
  float sums[blocks_down][blocks_across][4] = {};

  __device__ static int lane() { return static_cast<int>(threadIdx.x) % 32; }
  __device__ static int first_row() { return static_cast<int>(threadIdx.x) / 32 / T::warps_across * T::warp_rows; }
  __device__ static int first_column() {
    return static_cast<int>(threadIdx.x) / 32 % T::warps_across * T::warp_columns;
  }

  template <class Store>
  __device__ void store(const Store& store) const {
#pragma unroll
    for (int i = 0; i < blocks_down; ++i) {
#pragma unroll
      for (int j = 0; j < blocks_across; ++j) {
#pragma unroll
        for (int which = 0; which < 4; ++which) {
          store(first_row() + lane() / 4 + 16 * i + 8 * (which / 2),
                first_column() + 8 * j + 2 * (lane() % 4) + which % 2, sums[i][j][which]);
        }
      }
    }
  }
};

// Each warp computes a part of the tile from 16 × 8 blocks.
template <class T, class Number, bool a_across, bool b_across>
class WarpProduct : public WarpSums<T> {
 public:
  using WarpSums<T>::blocks_down, WarpSums<T>::blocks_across, WarpSums<T>::sums;
  using WarpSums<T>::lane, WarpSums<T>::first_row, WarpSums<T>::first_column;

  // The row of a matrix whose address load_matrices wants from this lane: of four, two down and two along the depth.
  __device__ static int octet_of_a(int row, int d) {
    return a_across ? T::A::at(d + lane() % 8 + lane() / 16 * 8, row / octet + lane() / 8 % 2)
                    : T::A::at(row + lane() % 16, d / octet + lane() / 16);
  }
  // Of four, two along the depth and two across.
  __device__ static int octet_of_b(int column, int d) {
    return b_across ? T::B::at(d + lane() % 16, column / octet + lane() / 16)
                    : T::B::at(column + lane() % 8 + lane() / 16 * 8, d / octet + lane() / 8 % 2);
  }

  __device__ void add(Shared<std::uint16_t> a, Shared<std::uint16_t> b) {
#pragma unroll
    for (int d = 0; d < T::depth; d += 16) {
      unsigned right[Number::parts][blocks_across / 2][4];
#pragma unroll
      for (int part = 0; part < Number::parts; ++part) {
#pragma unroll
        for (int j = 0; j < blocks_across / 2; ++j) {
          load_matrices<b_across>(b + part * T::B::numbers + octet_of_b(first_column() + 16 * j, d), right[part][j]);
        }
      }
#pragma unroll
      for (int i = 0; i < blocks_down; ++i) {
        unsigned left[Number::parts][4];
#pragma unroll
        for (int part = 0; part < Number::parts; ++part) {
          load_matrices<a_across>(a + part * T::A::numbers + octet_of_a(first_row() + 16 * i, d), left[part]);
        }
        if constexpr (Number::parts == 1) {
          add_products(sums[i], left, right);
        } else {
          // Tensor cores cut sums off instead of rounding them, always towards zero: in sums of 16 terms that matters
          // less than in one of thousands.
          float partial[blocks_across][4] = {};
          add_products(partial, left, right);
#pragma unroll
          for (int j = 0; j < blocks_across; ++j) {
#pragma unroll
            for (int k = 0; k < 4; ++k) sums[i][j][k] += partial[j][k];
          }
        }
      }
    }
  }

 private:
  __device__ static void add_products(float (&to)[blocks_across][4], const unsigned (&left)[Number::parts][4],
                                      const unsigned (&right)[Number::parts][blocks_across / 2][4]) {
#pragma unroll
    for (int product = 0; product < Number::products; ++product) {
#pragma unroll
      for (int j = 0; j < blocks_across; ++j) {
        Number::multiply(to[j], left[Number::a_part(product)], right[Number::b_part(product)][j / 2] + 2 * (j % 2));
      }
    }
  }
};

}  // namespace dip::cuda
