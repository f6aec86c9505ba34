// The end of a tile of the packed product: its results are written.
#pragma once

#include "cuda/gemm/packed/numbers.h"
#include "cuda/gemm/packed/tiles.h"

namespace dip::cuda {

// Result (i, j) by definition: without what lies outside the image.
template <class Number, class Problem>
__device__ float sum_of_what_meets(const Problem& problem, int i, int j, int begin, int end) {
  const auto octet_of = [](int number) { return number / octet * octet; };
  const auto beside = [](Place place, int number) {
    place.offset += number % octet;
    place.a += number % octet;
    return place;
  };
  float sum = 0.0f;
  for (int d = begin; d < end && sum == sum; d += width_of<Number>) {
    const Place place = problem.place_at(Problem::b_across ? d : j);
    const int number = Problem::b_across ? j : d;
    const Place shift = beside(problem.shift_at(octet_of(number)), number);
    const int line = problem.a_at(Problem::a_across ? d : i);
    const bool inside = static_cast<unsigned>(place.h + shift.h) < static_cast<unsigned>(problem.height) &&
                        static_cast<unsigned>(place.w + shift.w) < static_cast<unsigned>(problem.width);
    if (!inside || line < 0 || !problem.meets(place, number, width_of<Number>)) continue;
    using Part = typename Number::Part;
    const auto* a = reinterpret_cast<const Part*>(problem.a + (line + (Problem::a_across ? i : shift.a)));
    const auto* b = reinterpret_cast<const Part*>(problem.b + (place.offset + shift.offset));
    sum = fmaf(Number::unpack(a, problem.a_part), Number::unpack(b, problem.b_part), sum);
  }
  return sum;
}

// Leaves the sums of a block in shared memory.
template <class T, class Product>
__device__ void put_in_tile(const Product& product, bool rows_side_by_side, Shared<float> tile) {
  if (rows_side_by_side) {
    product.store([&](int i, int j, float sum) { tile[j * T::column_pitch + i] = sum; });
  } else {
    product.store([&](int i, int j, float sum) { tile[i * T::row_pitch + j] = sum; });
  }
}

// Calls run(i, j, sum) with those of the block's sums in shared memory that are this one's of so many threads, so many
// of them in unrolled code.
template <class T, int threads, int unrolled, class Problem, class Run>
__device__ void for_each_of_tile(const Problem& problem, const GemmBlock<T>& block, Shared<float> tile,
                                 const Run& run) {
#pragma unroll unrolled
  for (int step = 0; step < T::rows * T::columns / threads; ++step) {
    const int e = step * threads + static_cast<int>(threadIdx.x);
    const int i = problem.rows_side_by_side ? e % T::rows : e / T::columns;
    const int j = problem.rows_side_by_side ? e / T::rows : e % T::columns;
    if (block.first_row + i < problem.rows && block.first_column + j < problem.columns) {
      run(i, j, tile[problem.rows_side_by_side ? j * T::column_pitch + i : i * T::row_pitch + j]);
    }
  }
}

// Those of a thread's results once more whose sums are NaN: a zero outside the image may have met an infinity or NaN.
// `given` is the kernel's own, a __grid_constant__, so that no thread copies it for this call.
template <class Number, class T, int threads, class Problem, class Batches>
__device__ DIP_RARE void store_what_meets(const Problem& given, const Batches& batches, int split_depth,
                                          Shared<float> tile, Shared<int> outs) {
  Problem problem = given;
  const auto block = GemmBlock<T>::of(problem, batches, split_depth);
  for_each_of_tile<T, threads, 1>(problem, block, tile, [&](int i, int j, float sum) {
    if (sum == sum) return;
    const int row = block.first_row + i;
    sum = sum_of_what_meets<Number>(problem, row, block.first_column + j, block.begin, block.end);
    problem.store(row, outs[j], sum);
  });
}

// So many threads write the results from there. `given` is the problem before its batch was begun.
template <class Number, class T, int threads, class Problem, class Batches>
__device__ void store_tile(const Problem& problem, const GemmBlock<T>& block, Shared<float> tile, Shared<int> outs,
                           const Problem& given, const Batches& batches, int split_depth) {
  bool any_is_nan = false;
  for_each_of_tile<T, threads, 4>(problem, block, tile, [&](int i, int j, float sum) {
    any_is_nan = any_is_nan || sum != sum;
    problem.store(block.first_row + i, outs[j], sum);
  });
  if (any_is_nan) store_what_meets<Number, T, threads>(given, batches, split_depth, tile, outs);
}

}  // namespace dip::cuda
