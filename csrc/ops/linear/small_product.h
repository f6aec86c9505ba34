// Products of few results on the GPU. The tiles of core/gather_gemm.h would leave most of its multiprocessors idle and
// the others waiting, one short slice of the depth after the other. Here a block has 16 × 32 results, and each of its
// eight warps an eighth of every slice of the depth: all of them have something to multiply while copies are under way.
// The warps' sums are added in their order, and so are those of blocks that share the depth: the same bits every time.
#pragma once

#include "core/device.h"
#include "core/gemm_block.h"

namespace dip::cuda {

struct SmallTile {
  static constexpr int rows = 16, columns = 32, warps = 8, threads = 32 * warps;
  static constexpr int depth_of_warp = 16, depth = warps * depth_of_warp, stages = 3;
  static constexpr bool warpgroups = false;
};

// One operand's slice in shared memory, numbers in the order in which they lie in the array: lines along the depth, or
// along the rows or columns. The padding puts what a warp reads at once into different banks.
template <int extent, bool along_depth>
struct SmallSlice {
  using T = SmallTile;
  static constexpr int line = along_depth ? T::depth : extent, lines = along_depth ? extent : T::depth;
  static constexpr int pitch = line + 4, floats = lines * pitch;
  static constexpr int patch = 4, across = extent / patch;  // results of a lane, and lanes, along this direction

  // Starts to copy the slice that begins at depth `d`: `width` numbers at a time, which lie side by side.
  template <int width>
  __device__ static void copy(Shared<float> to, const float* from, int stride, int d_stride, int first, int end, int d,
                              int d_end) {
    constexpr int copies = line / width;
    static_assert(lines * copies % T::threads == 0, "all threads copy alike");
#pragma unroll
    for (int step = 0; step < lines * copies / T::threads; ++step) {
      const int at = static_cast<int>(threadIdx.x) + step * T::threads;
      const int along = at % copies * width, across_lines = at / copies;
      const int x = first + (along_depth ? across_lines : along), at_depth = d + (along_depth ? along : across_lines);
      const bool valid = x < end && at_depth < d_end;
      const float* source = from + (valid ? x * stride + at_depth * d_stride : 0);
      if constexpr (width == 4) {
        copy_four_async(to + across_lines * pitch + along, source, valid);
      } else {
        copy_async(to + across_lines * pitch + along, source, valid);
      }
    }
  }

  // Which of the rows or columns is number i of those of a lane that is number `lane` across.
  __device__ static int place(int lane, int i) { return along_depth ? lane + i * across : lane * patch + i; }

  // What four neighbours of the depth have for this lane: [i][step].
  __device__ static void read(Shared<float> slice, int lane, int d, float (&to)[patch][4]) {
    if constexpr (along_depth) {
#pragma unroll
      for (int i = 0; i < patch; ++i) read_four(slice + place(lane, i) * pitch + d, to[i]);
    } else {
#pragma unroll
      for (int step = 0; step < 4; ++step) {
        float four[patch];
        read_four(slice + (d + step) * pitch + place(lane, 0), four);
#pragma unroll
        for (int i = 0; i < patch; ++i) to[i][step] = four[i];
      }
    }
  }
};

// A Problem is a product of ops/linear/device.cu. `four`: both operands may be copied four numbers at a time. Where
// blocks share the depth each leaves its sums in `parts`.
template <class Problem, bool four>
__global__ void __launch_bounds__(SmallTile::threads, 2)
    small_product_kernel(Problem problem, int split_depth, float* parts) {
  using T = SmallTile;
  using A = SmallSlice<T::rows, !Problem::a_along_rows>;
  using B = SmallSlice<T::columns, Problem::b_along_depth>;
  constexpr int width = four ? 4 : 1;
  const Shared<float> a_slices = dynamic_shared<float>(), b_slices = a_slices + T::stages * A::floats;
  const int thread = static_cast<int>(threadIdx.x), warp = thread / 32;
  const int down = thread % 32 / B::across, across = thread % 32 % B::across;
  const GemmBlock<T> block(1, problem.depth, split_depth);

  const auto load = [&](int slice) {
    const int d = block.begin + slice * T::depth, stage = slice % T::stages;
    A::template copy<width>(a_slices + stage * A::floats, problem.a, problem.a_row, problem.a_depth, block.first_row,
                            problem.rows, d, block.end);
    B::template copy<width>(b_slices + stage * B::floats, problem.b, problem.b_column, problem.b_depth,
                            block.first_column, problem.columns, d, block.end);
  };
  float sums[A::patch][B::patch] = {};
  const auto add = [&](int slice) {
    const int stage = slice % T::stages;
#pragma unroll
    for (int step = 0; step < T::depth_of_warp; step += 4) {
      const int d = warp * T::depth_of_warp + step;
      float left[A::patch][4], right[B::patch][4];
      A::read(a_slices + stage * A::floats, down, d, left);
      B::read(b_slices + stage * B::floats, across, d, right);
#pragma unroll
      for (int k = 0; k < 4; ++k) {
#pragma unroll
        for (int i = 0; i < A::patch; ++i) {
#pragma unroll
          for (int j = 0; j < B::patch; ++j) sums[i][j] = fmaf(left[i][k], right[j][k], sums[i][j]);
        }
      }
    }
  };
  run_pipeline<T>(block.slices, load, [](int, int) {}, add);

  // The slices are done with: their place takes the sums of all warps.
  constexpr int pitch = T::columns + 8, tile = T::rows * pitch;
  static_assert(T::warps * tile <= T::stages * (A::floats + B::floats), "the sums fit where the slices were");
  __syncthreads();
#pragma unroll
  for (int i = 0; i < A::patch; ++i) {
#pragma unroll
    for (int j = 0; j < B::patch; ++j) {
      a_slices[warp * tile + A::place(down, i) * pitch + B::place(across, j)] = sums[i][j];
    }
  }
  __syncthreads();
  for (int at = thread; at < T::rows * T::columns; at += T::threads) {
    const int i = at / T::columns, j = at % T::columns;
    float sum = 0.0f;
#pragma unroll
    for (int w = 0; w < T::warps; ++w) sum += a_slices[w * tile + i * pitch + j];
    const int row = block.first_row + i, column = block.first_column + j;
    if (row >= problem.rows || column >= problem.columns) continue;
    if (parts) {
      parts[(block.split * problem.rows + row) * problem.columns + column] = sum;
    } else {
      *problem.place(row, column) = problem.finish(row, column, sum);
    }
  }
}

template <class Problem>
__global__ void finish_small_product_kernel(Problem problem, int splits, const float* parts) {
  const std::int64_t count = std::int64_t{problem.rows} * problem.columns;
  for (std::int64_t i = first_element(); i < count; i += element_step()) {
    float sum = 0.0f;
    for (int split = 0; split < splits; ++split) sum += parts[split * count + i];
    const int row = static_cast<int>(i / problem.columns), column = static_cast<int>(i % problem.columns);
    *problem.place(row, column) = problem.finish(row, column, sum);
  }
}

// Whether four numbers of each operand lie side by side, at multiples of 16 bytes, and none of them is beyond the end.
template <class Problem>
bool copies_fours(const Problem& p) {
  const auto is_even = [](const float* start, int line, int stride) {
    return is_octet_aligned(start) && line % 4 == 0 && stride % 4 == 0;
  };
  return is_even(p.a, Problem::a_along_rows ? p.rows : p.depth, Problem::a_along_rows ? p.a_depth : p.a_row) &&
         is_even(p.b, Problem::b_along_depth ? p.depth : p.columns, Problem::b_along_depth ? p.b_column : p.b_depth);
}

template <class Problem>
void multiply_small(const Problem& problem, const GemmPlan& plan) {
  using T = SmallTile;
  constexpr int floats = T::stages * (SmallSlice<T::rows, !Problem::a_along_rows>::floats +
                                      SmallSlice<T::columns, Problem::b_along_depth>::floats);
  const std::int64_t count = std::int64_t{problem.rows} * problem.columns;
  const DeviceScratch<float> parts(plan.splits > 1 ? plan.splits * count : 0);
  const auto kernel =
      copies_fours(problem) ? small_product_kernel<Problem, true> : small_product_kernel<Problem, false>;
  launch(kernel, grid_of<T>(problem, 1, plan), static_cast<unsigned>(T::threads), floats * sizeof(float), problem,
         plan.split_depth, plan.splits > 1 ? parts.data() : nullptr);
  if (plan.splits > 1) {
    launch_elements(finish_small_product_kernel<Problem>, count, problem, plan.splits,
                    static_cast<const float*>(parts.data()));
  }
}

}  // namespace dip::cuda
