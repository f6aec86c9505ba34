// The packed product of a tile by Hopper's wgmma.
#pragma once

#include "cuda/gemm/packed/tiles.h"

namespace dip::cuda {

// Each warpgroup computes 64 rows of the tile, 128 columns at a time.
template <class T, class Number, bool a_across, bool b_across>
class WarpgroupProduct {
 public:
  // With several parts all is done when it returns, else the products of this slice may be under way.
  __device__ void add(Shared<std::uint16_t> a, Shared<std::uint16_t> b) {
    if constexpr (Number::parts == 1) {
      start_products(sums_, a, b);
      wait<T::slices_under_way>(sums_);
    } else {
      // As warps have it, in sums of 64 terms.
      WarpgroupSums slice[halves] = {};
      start_products(slice, a, b);
      wait<0>(slice);
#pragma unroll
      for (int half = 0; half < halves; ++half) {
#pragma unroll
        for (int j = 0; j < 16; ++j) {
#pragma unroll
          for (int k = 0; k < 4; ++k) sums_[half][j][k] += slice[half][j][k];
        }
      }
    }
  }

  __device__ void finish() { wait<0>(sums_); }

  template <class Store>
  __device__ void store(const Store& store) const {
    const int thread = static_cast<int>(threadIdx.x), lane = thread % 32;
#pragma unroll
    for (int half = 0; half < halves; ++half) {
#pragma unroll
      for (int j = 0; j < 16; ++j) {
#pragma unroll
        for (int which = 0; which < 4; ++which) {
          store(thread / 32 * 16 + lane / 4 + 8 * (which / 2), 128 * half + 8 * j + 2 * (lane % 4) + which % 2,
                sums_[half][j][which]);
        }
      }
    }
  }

 private:
  static constexpr int halves = T::columns / 128;
  WarpgroupSums sums_[halves] = {};

  template <int pending>
  __device__ static void wait(WarpgroupSums (&sums)[halves]) {
#pragma unroll
    for (int half = 0; half < halves; ++half) wait_for_products<pending>(sums[half]);
  }

  __device__ static void start_products(WarpgroupSums (&to)[halves], Shared<std::uint16_t> a, Shared<std::uint16_t> b) {
    constexpr int line = 64, leading = T::depth * line * 2, stride = 8 * line * 2;
    const Shared<std::uint16_t> rows = a + static_cast<int>(threadIdx.x) / 128 * 64 * line;
#pragma unroll
    for (int half = 0; half < halves; ++half) begin_products(to[half]);
#pragma unroll
    for (int product = 0; product < Number::products; ++product) {
#pragma unroll
      for (int d = 0; d < T::depth; d += 16) {
        const int left = Number::a_part(product) * T::A::numbers + (a_across ? d * line : d);
        const int right = Number::b_part(product) * T::B::numbers + (b_across ? d * line : d);
#pragma unroll
        for (int half = 0; half < halves; ++half) {
          Number::template multiply_group<a_across, b_across>(
              to[half], shared_matrix(rows + left, leading, stride),
              shared_matrix(b + right + half * 128 * line, leading, stride));
        }
      }
    }
    commit_products();
  }
};

}  // namespace dip::cuda
