// The kernel of the packed product whose operands Hopper's copy unit (TMA) brings.
#pragma once

#include "cuda/gemm/packed/store.h"
#include "cuda/gemm/packed/warpgroup_product.h"

namespace dip::cuda {

// The same where a map of each operand lets the copy unit bring its slices. One thread asks for them, as many ahead as
// there are stages; the first two warpgroups multiply. A Problem has besides
//   TensorMap map_a<T>()  map_b<T>()
//   void copy_a<T>(to, map, barrier, int part, int d, int i)  starts to copy the slice from depth d and row i on
//   void copy_b<T>(to, map, barrier, int part, int d, int j)  the same from column j
template <class Problem, class Number, class T, class Batches>
__device__ void multiply_mapped(const Problem& given, const TensorMap& a_map, const TensorMap& b_map,
                                const Batches& batches, int split_depth) {
  const Shared<std::uint16_t> a_slices = dynamic_shared<std::uint16_t>(),
                              b_slices = a_slices + T::stages * T::a_numbers;
  const Shared<PhaseBarrier> full = shared_cast<PhaseBarrier>(a_slices + T::operand_bytes / 2),
                             empty = full + T::stages;
  const Shared<int> outs = shared_cast<int>(empty + T::stages);

  const int thread = static_cast<int>(threadIdx.x);
  batches.begin_block();
  Problem problem = given;
  const auto block = GemmBlock<T>::of(problem, batches, split_depth);
  if (thread == 0) {
    for (int stage = 0; stage < T::stages; ++stage) {
      set_up(full + stage, 1);
      set_up(empty + stage, T::multiplying / 32);
    }
    fence_phase_barriers();
  }
  __syncthreads();

  if (thread >= T::multiplying) {
    give_registers_back<40>();
    if (thread > T::multiplying) return;
    for (int slice = 0; slice < block.slices; ++slice) {
      const int stage = slice % T::stages, d = block.begin + slice * T::depth;
      wait_for_phase(empty + stage, slice / T::stages % 2 ^ 1);
      arrive_and_expect(full + stage, (T::a_numbers + T::b_numbers) * 2);
      for (int part = 0; part < Number::parts; ++part) {
        problem.template copy_a<T>(a_slices + stage * T::a_numbers + part * T::A::numbers, a_map, full + stage, part, d,
                                   block.first_row);
        problem.template copy_b<T>(b_slices + stage * T::b_numbers + part * T::B::numbers, b_map, full + stage, part, d,
                                   block.first_column);
      }
    }
    return;
  }

  take_registers<232>();
  for (int j = thread; j < T::columns; j += T::multiplying) {
    if (block.first_column + j < problem.columns) outs[j] = problem.out_at(block.first_column + j);
  }
  WarpgroupProduct<T, Number, Problem::a_across, Problem::b_across> product;
  for (int slice = 0; slice < block.slices; ++slice) {
    const int stage = slice % T::stages;
    wait_for_phase(full + stage, slice / T::stages % 2);
    product.add(a_slices + stage * T::a_numbers, b_slices + stage * T::b_numbers);
    const int finished = slice - T::slices_under_way;
    if (finished >= 0 && thread % 32 == 0) arrive(empty + finished % T::stages);
  }
  product.finish();
  barrier_of<T::multiplying>();  // all are done with the operands
  const Shared<float> tile = shared_cast<float>(a_slices);
  put_in_tile<T>(product, problem.rows_side_by_side, tile);
  barrier_of<T::multiplying>();
  store_tile<Number, T, T::multiplying>(problem, block, tile, outs, given, batches, split_depth);
}

template <class Problem, class Number, class T, class Batches>
__global__ void __launch_bounds__(T::threads, 1)
    mapped_gemm_kernel(const __grid_constant__ Problem problem, const __grid_constant__ TensorMap a_map,
                       const __grid_constant__ TensorMap b_map, const __grid_constant__ Batches batches,
                       int split_depth) {
  if constexpr (compiled_for_warpgroups) {
    multiply_mapped<Problem, Number, T>(problem, a_map, b_map, batches, split_depth);
  }
}

}  // namespace dip::cuda
