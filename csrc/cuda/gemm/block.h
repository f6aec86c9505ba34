// What the kernels of matrix products have in common: the part of the result that is a block's, and the pipeline that
// copies slices of the operands to shared memory ahead of the arithmetic.
#pragma once

#include "cuda/device.h"
#include "cuda/gemm/plan.h"

namespace dip::cuda {

// The batches of a product that are alike but for their place, as groups are.
struct AlikeBatches {
  int groups;

  __device__ void begin_block() const {}
  __host__ __device__ int count() const { return groups; }
};

// As many blocks as cover a problem: (columns, rows, batches × splits of the depth).
template <class T, class Problem>
Grid grid_of(const Problem& problem, int batches, const GemmPlan& plan) {
  return {static_cast<unsigned>((problem.columns + T::columns - 1) / T::columns),
          static_cast<unsigned>((problem.rows + T::rows - 1) / T::rows), static_cast<unsigned>(batches * plan.splits)};
}

// Of such a grid.
template <class T>
struct GemmBlock {
  int first_row, first_column, batch, split;
  int begin, end, slices;  // of the depth

  __device__ GemmBlock(int batches, int depth, int split_depth)
      : first_row(static_cast<int>(blockIdx.y) * T::rows),
        first_column(static_cast<int>(blockIdx.x) * T::columns),
        batch(static_cast<int>(blockIdx.z) % batches),
        split(static_cast<int>(blockIdx.z) / batches),
        begin(split * split_depth),
        end(min(depth, begin + split_depth)),
        slices((end - begin + T::depth - 1) / T::depth) {}

  // Of a problem whose batch is begun here, for that may change its depth.
  template <class Problem, class Batches>
  __device__ static GemmBlock of(Problem& problem, const Batches& batches, int split_depth) {
    const int count = batches.count(), batch = static_cast<int>(blockIdx.z) % count;
    problem.begin(batches, batch, static_cast<int>(blockIdx.z) / count);
    return {count, problem.depth, split_depth};
  }
};

// load(slice) starts the copies of one; set_depth(slice, d) leaves in shared memory what load will need to know of
// depth d, and was called for the first T::stages slices; add(slice) multiplies. A slice's place is used again
// T::stages later.
template <class T, class Load, class SetDepth, class Add>
__device__ void run_pipeline(int slices, const Load& load, const SetDepth& set_depth, const Add& add) {
  const int thread = static_cast<int>(threadIdx.x);
  for (int slice = 0; slice < T::stages - 1; ++slice) {
    if (slice < slices) load(slice);
    copy_async_commit();
  }
  for (int slice = 0; slice < slices; ++slice) {
    copy_async_wait<T::stages - 2>();
    if constexpr (T::warpgroups) fence_shared_matrices();
    __syncthreads();  // this slice is there for all, and all are done with the one before
    if (slice + T::stages - 1 < slices) load(slice + T::stages - 1);
    copy_async_commit();
    if (thread < T::depth) set_depth(slice + T::stages, thread);
    add(slice);
  }
}

// The sum of what the splits have left, `distance` apart, in their order.
__device__ inline float sum_of_splits(const float* first, int splits, std::int64_t distance) {
  float sum = first[0];
  for (int split = 1; split < splits; ++split) sum += first[split * distance];
  return sum;
}

// result[i] = Σ parts of the splits, in their order.
void add_splits(const float* parts, int splits, std::int64_t count, float* result);

// Calls multiply with where the splits of a product write their `count` sums each, one after the other, and adds them.
template <class Multiply>
void sum_splits(const GemmPlan& plan, std::int64_t count, float* result, const Multiply& multiply) {
  if (plan.splits == 1) return multiply(result);
  const DeviceScratch<float> parts(plan.splits * count);
  multiply(parts.data());
  add_splits(parts.data(), plan.splits, count, result);
}

}  // namespace dip::cuda
