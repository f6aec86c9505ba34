// The kernel of the packed product whose operands the threads copy themselves, one slice of the depth after the other.
#pragma once

#include <type_traits>

#include "cuda/gemm/packed/store.h"
#include "cuda/gemm/packed/warp_product.h"
#include "cuda/gemm/packed/warpgroup_product.h"

namespace dip::cuda {

// A Problem has
//   static constexpr bool a_across, b_across  whether octets lie across the depth
//   static constexpr bool has_few_tiles  whether only some tiles are compiled for it
//   int rows, columns, depth, height, width;  const std::uint16_t *a, *b;
//   std::int64_t a_part, b_part          the distances of the parts
//   bool rows_side_by_side                 whether neighbouring rows are neighbours in memory, or columns
//   void begin(Batches, int batch, int split)  moves the pointers, and may change the depth; a thread may begin its own
//                                          copy again
//   int a_at(int line)                     the offset of row `line` of A, or across of depth `line`; −1: zeros
//   Place place_at(int position)  Place shift_at(int first)
//   bool meets(Place place, int number, int width)  whether a number of that width of a shift is of the image, and not
//                                          a zero put beside it
//   int out_at(int j)                      what column j adds to the address of a result
//   void store(int i, int out, float sum)
// Numbers behind the last one, up to a whole octet, are zeros in A and B; along the depth they are part of it.
template <class Problem, class Number, class T, class Batches>
__device__ void multiply_packed(const Problem& given, const Batches& batches, int split_depth) {
  using A = typename T::A;
  using B = typename T::B;
  const Shared<std::uint16_t> a_slices = dynamic_shared<std::uint16_t>(),
                              b_slices = a_slices + T::stages * T::a_numbers;
  const Shared<Place> column_places = shared_cast<Place>(a_slices + T::operand_bytes / 2);
  const Shared<Place> depth_places = column_places + T::column_places;
  const Shared<int> outs = shared_cast<int>(depth_places + T::stages * T::depth_places);
  const Shared<int> depth_lines = outs + T::columns;

  const int thread = static_cast<int>(threadIdx.x);
  batches.begin_block();
  Problem problem = given;
  const auto block = GemmBlock<T>::of(problem, batches, split_depth);
  const int first_row = block.first_row, first_column = block.first_column;

  // What the depth of a slice brings with it; each of the threads up to its depth sets a part.
  const auto set_depth = [&](int slice, int at) {
    if (at < T::depth_places) {
      const int d = block.begin + slice * T::depth + (Problem::b_across ? at : at * octet);
      depth_places[slice % T::stages * T::depth_places + at] = d >= block.end      ? nowhere
                                                               : Problem::b_across ? problem.place_at(d)
                                                                                   : problem.shift_at(d);
    }
    if (Problem::a_across) {
      const int d = block.begin + slice * T::depth + at;
      depth_lines[slice % T::stages * T::depth + at] = d < block.end ? problem.a_at(d) : -1;
    }
  };
  for (int at = thread; at < T::stages * T::depth; at += T::threads) set_depth(at / T::depth, at % T::depth);
  for (int at = thread; at < T::column_places; at += T::threads) {
    const int j = first_column + (Problem::b_across ? at * octet : at);
    column_places[at] = j >= problem.columns ? nowhere : Problem::b_across ? problem.shift_at(j) : problem.place_at(j);
  }
  for (int j = thread; j < T::columns; j += T::threads) {
    if (first_column + j < problem.columns) outs[j] = problem.out_at(first_column + j);
  }
  __syncthreads();

  // Of the lines a thread copies the same octet of every `step`-th: what it knows of them it keeps.
  static_assert(T::threads % A::octets == 0 && T::threads % B::octets == 0, "an octet is a thread's");
  constexpr int a_step = T::threads / A::octets, b_step = T::threads / B::octets;
  constexpr int a_steps = (A::lines + a_step - 1) / a_step, b_steps = B::lines / b_step;
  static_assert(B::lines % b_step == 0, "all threads copy as many octets of B");
  const int a_line = thread / A::octets, a_octet = thread % A::octets;
  const int b_line = thread / B::octets, b_octet = thread % B::octets;
  int a_from[Problem::a_across ? 1 : a_steps];
#pragma unroll
  for (int step = 0; !Problem::a_across && step < a_steps; ++step) {
    const int i = first_row + a_line + step * a_step;
    a_from[step] = i < problem.rows ? problem.a_at(i) : -1;
  }
  Place columns[Problem::b_across ? 1 : b_steps];
#pragma unroll
  for (int step = 0; step < (Problem::b_across ? 1 : b_steps); ++step) {
    columns[step] = column_places[Problem::b_across ? b_octet : b_line + step * b_step];
  }

  const auto load = [&](int slice) {
    const int stage = slice % T::stages;
    const Shared<std::uint16_t> a_slice = a_slices + stage * T::a_numbers, b_slice = b_slices + stage * T::b_numbers;
    const Shared<Place> slice_places = depth_places + stage * T::depth_places;
    const Shared<int> slice_lines = depth_lines + stage * T::depth;
    const int along = Problem::a_across ? first_row + a_octet * octet : Place(slice_places[a_octet]).a;
    const bool inside = Problem::a_across ? along < problem.rows : along >= 0;
#pragma unroll
    for (int step = 0; step < a_steps; ++step) {
      const int line = a_line + step * a_step;
      if (A::lines % a_step != 0 && line >= A::lines) break;
      const int from = Problem::a_across ? slice_lines[line] : a_from[step];
      const bool valid = inside && from >= 0;
      const unsigned offset = valid ? from + along : 0;  // not negative: a sign would cost instructions
#pragma unroll
      for (int part = 0; part < Number::parts; ++part) {
        copy_octet_async(a_slice + part * A::numbers + A::at(line, a_octet), problem.a + part * problem.a_part + offset,
                         valid);
      }
    }
    const Place shift = Problem::b_across ? columns[0] : slice_places[b_octet];
#pragma unroll
    for (int step = 0; step < b_steps; ++step) {
      const int line = b_line + step * b_step;
      const Place place = Problem::b_across ? slice_places[line] : columns[step];
      const bool valid = static_cast<unsigned>(place.h + shift.h) < static_cast<unsigned>(problem.height) &&
                         static_cast<unsigned>(place.w + shift.w) < static_cast<unsigned>(problem.width);
      const unsigned offset = valid ? place.offset + shift.offset : 0;
#pragma unroll
      for (int part = 0; part < Number::parts; ++part) {
        copy_octet_async(b_slice + part * B::numbers + B::at(line, b_octet), problem.b + part * problem.b_part + offset,
                         valid);
      }
    }
  };

  std::conditional_t<T::warpgroups, WarpgroupProduct<T, Number, Problem::a_across, Problem::b_across>,
                     WarpProduct<T, Number, Problem::a_across, Problem::b_across>>
      product;
  run_pipeline<T>(block.slices, load, set_depth, [&](int slice) {
    product.add(a_slices + slice % T::stages * T::a_numbers, b_slices + slice % T::stages * T::b_numbers);
  });
  copy_async_wait<0>();
  __syncthreads();  // all are done with the operands
  const Shared<float> tile = shared_cast<float>(a_slices);
  put_in_tile<T>(product, problem.rows_side_by_side, tile);
  __syncthreads();
  store_tile<Number, T, T::threads>(problem, block, tile, outs, given, batches, split_depth);
}

// Tiles of warpgroups are compiled for the one architecture that has them.
template <class Problem, class Number, class T, class Batches>
__global__ void __launch_bounds__(T::threads, T::blocks_a_multiprocessor)
    packed_gemm_kernel(const __grid_constant__ Problem problem, const __grid_constant__ Batches batches,
                       int split_depth) {
  if constexpr (!T::warpgroups || compiled_for_warpgroups) {
    multiply_packed<Problem, Number, T>(problem, batches, split_depth);
  }
}

}  // namespace dip::cuda
