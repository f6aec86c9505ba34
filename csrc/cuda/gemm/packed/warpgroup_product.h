// The packed product of a tile by Hopper's wgmma.
#pragma once

#include "cuda/gemm/packed/tiles.h"

namespace dip::cuda {

// Each warpgroup computes 64 rows of the tile, 128 columns at a time.
template <class T, class Number, bool a_across, bool b_across>
class WarpgroupProduct {
 public:
  // With several planes all is done when it returns, else the products of this slice may be under way.
  __device__ void add(Shared<std::uint16_t> a, Shared<std::uint16_t> b) {
    if constexpr (Number::planes == 1) {
      start_products(sums_, a, b);
      wait<T::slices_under_way>(sums_);
    } else {
      // As warps have it, in sums of 64 terms.
      WarpgroupSums part[parts] = {};
      start_products(part, a, b);
      wait<0>(part);
#pragma unroll
      for (int half = 0; half < parts; ++half) {
#pragma unroll
        for (int j = 0; j < 16; ++j) {
#pragma unroll
          for (int k = 0; k < 4; ++k) sums_[half][j][k] += part[half][j][k];
        }
      }
    }
  }

  __device__ void finish() { wait<0>(sums_); }

  template <class Store>
  __device__ void store(const Store& store) const {
    const int thread = static_cast<int>(threadIdx.x), lane = thread % 32;
#pragma unroll
    for (int half = 0; half < parts; ++half) {
#pragma unroll
      for (int j = 0; j < 16; ++j) {
#pragma unroll
        for (int part = 0; part < 4; ++part) {
          store(thread / 32 * 16 + lane / 4 + 8 * (part / 2), 128 * half + 8 * j + 2 * (lane % 4) + part % 2,
                sums_[half][j][part]);
        }
      }
    }
  }

 private:
  static constexpr int parts = T::columns / 128;
  WarpgroupSums sums_[parts] = {};

  template <int pending>
  __device__ static void wait(WarpgroupSums (&sums)[parts]) {
#pragma unroll
    for (int part = 0; part < parts; ++part) wait_for_products<pending>(sums[part]);
  }

  __device__ static void start_products(WarpgroupSums (&to)[parts], Shared<std::uint16_t> a, Shared<std::uint16_t> b) {
    constexpr int line = 64, leading = T::depth * line * 2, stride = 8 * line * 2;
    const Shared<std::uint16_t> rows = a + static_cast<int>(threadIdx.x) / 128 * 64 * line;
#pragma unroll
    for (int part = 0; part < parts; ++part) begin_products(to[part]);
#pragma unroll
    for (int product = 0; product < Number::products; ++product) {
#pragma unroll
      for (int d = 0; d < T::depth; d += 16) {
        const int left = Number::a_plane(product) * T::A::numbers + (a_across ? d * line : d);
        const int right = Number::b_plane(product) * T::B::numbers + (b_across ? d * line : d);
#pragma unroll
        for (int part = 0; part < parts; ++part) {
          Number::template multiply_group<a_across, b_across>(
              to[part], shared_matrix(rows + left, leading, stride),
              shared_matrix(b + right + part * 128 * line, leading, stride));
        }
      }
    }
    commit_products();
  }
};

}  // namespace dip::cuda
