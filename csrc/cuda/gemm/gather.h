// The matrix product behind convolutions and linear layers on the GPU, without building its matrices.
//
// result[i, j] = Σ_d A[i, d]·B[d, j]. A convolution, its two gradients and the three products of a linear layer all
// have this form, and in all of them the address of an element is the sum of what its two indices contribute:
//
//   A[i, d] = a[i·a_row + depth(d).a]            B[d, j] = b[column(j).b + depth(d).b], or 0 where the position
//   result[i, j] at i·out_row + column(j).out              (column(j).h + depth(d).h, column(j).w + depth(d).w) lies
//                                                          outside the image
//
// So one kernel serves them, told by a Problem what row, column and depth contribute. Each block computes a tile of the
// result in registers; slices of A and B pass through shared memory, copied three slices ahead of the arithmetic. Every
// sum runs over d in order, in one thread: no atomics, the same bits on every run. Offsets are 32-bit; the launcher
// refuses larger arrays. What tensor cores multiply is packed first (cuda/gemm/packed/launch.h).
#pragma once

#include "cuda/device.h"
#include "cuda/gemm/block.h"
#include "cuda/gemm/plan.h"

namespace dip::cuda {

struct DepthAt {
  int a, b;  // offsets; a < 0: beyond the end, a zero
  int h, w;  // displacement in the image
};

struct ColumnAt {
  int b, out;  // offsets
  int h, w;    // position in the image; far outside for columns beyond the end
};

constexpr int far_outside = -(1 << 29);

// What the sizes of a tile bring with them.
template <int tile_rows, int tile_columns>
struct Tile {
  static constexpr int rows = tile_rows, columns = tile_columns, depth = 16, stages = 3;
  static constexpr int threads = 256;  // of the small tiles too: there are often few blocks
  static constexpr bool warpgroups = false;
  static_assert(tile_rows * depth % threads == 0 && tile_columns * depth % threads == 0, "all threads copy alike");
  // The paddings put what a warp reads at once into different banks.
  static constexpr int a_pitch = depth + 4, b_pitch = tile_columns + 8;
  static constexpr int a_floats = tile_rows * a_pitch, b_floats = depth * b_pitch;
  static constexpr int shared_bytes = stages * ((a_floats + b_floats) * 4 + depth * static_cast<int>(sizeof(DepthAt))) +
                                      tile_columns * static_cast<int>(sizeof(ColumnAt));
};

// float32 arithmetic: each thread computes a patch of the tile, rows and columns interleaved with its neighbours'.
template <class T>
struct Float32Product {
  static constexpr int across = 16, down = T::threads / across;
  static constexpr int patch_rows = T::rows / down, patch_columns = T::columns / across;
  float sums[patch_rows][patch_columns] = {};

  __device__ static int row(int i) { return static_cast<int>(threadIdx.x) / across + i * down; }
  // Four neighbours, and then the next four beyond those of the other threads.
  __device__ static int column(int j) {
    return static_cast<int>(threadIdx.x) % across * 4 + j % 4 + j / 4 * (4 * across);
  }

  __device__ void add(Shared<float> a, Shared<float> b) {
#pragma unroll
    for (int d = 0; d < T::depth; d += 4) {
      float left[patch_rows][4];
#pragma unroll
      for (int i = 0; i < patch_rows; ++i) read_four(a + row(i) * T::a_pitch + d, left[i]);
#pragma unroll
      for (int step = 0; step < 4; ++step) {
        float right[patch_columns];
#pragma unroll
        for (int j = 0; j < patch_columns; j += 4) read_four(b + (d + step) * T::b_pitch + column(j), right + j);
#pragma unroll
        for (int i = 0; i < patch_rows; ++i) {
#pragma unroll
          for (int j = 0; j < patch_columns; ++j) sums[i][j] = fmaf(left[i][step], right[j], sums[i][j]);
        }
      }
    }
  }

  template <class Run>
  __device__ void for_each(const Run& run) {
#pragma unroll
    for (int i = 0; i < patch_rows; ++i) {
#pragma unroll
      for (int j = 0; j < patch_columns; ++j) run(row(i), column(j), sums[i][j]);
    }
  }

  // A bit for each sum that is NaN, row after row.
  __device__ std::uint64_t nans() const {
    static_assert(patch_rows * patch_columns <= 64, "a bit for each");
    std::uint64_t bits = 0;
#pragma unroll
    for (int i = 0; i < patch_rows; ++i) {
#pragma unroll
      for (int j = 0; j < patch_columns; ++j) {
        if (sums[i][j] != sums[i][j]) bits |= std::uint64_t{1} << (i * patch_columns + j);
      }
    }
    return bits;
  }

  // The same for four neighbours of a row at a time.
  template <class Run>
  __device__ void for_each_four(const Run& run) const {
#pragma unroll
    for (int i = 0; i < patch_rows; ++i) {
#pragma unroll
      for (int j = 0; j < patch_columns; j += 4) run(row(i), column(j), sums[i] + j);
    }
  }
};

// Whether the element of B that a column and a depth name lies inside the image.
template <class Problem>
__device__ bool is_inside(const Problem& problem, ColumnAt column, DepthAt depth) {
  return static_cast<unsigned>(column.h + depth.h) < static_cast<unsigned>(problem.height) &&
         static_cast<unsigned>(column.w + depth.w) < static_cast<unsigned>(problem.width);
}

// Those of a thread's results once more whose sums were NaN, without what lies outside the image: a zero there may have
// met an infinity or NaN. `given` is the kernel's own, a __grid_constant__, so that no thread copies it for this call.
template <class Problem, class T, class Batches>
__device__ DIP_RARE void store_what_meets(const Problem& given, const Batches& batches, int split_depth,
                                          std::uint64_t nans) {
  using Product = Float32Product<T>;
  Problem problem = given;
  const auto block = GemmBlock<T>::of(problem, batches, split_depth);
  for (int e = 0; e < Product::patch_rows * Product::patch_columns; ++e) {
    const int i = block.first_row + Product::row(e / Product::patch_columns);
    const int j = block.first_column + Product::column(e % Product::patch_columns);
    if ((nans >> e & 1) == 0 || i >= problem.rows || j >= problem.columns) continue;
    const ColumnAt column = problem.column_at(j);
    float sum = 0.0f;
    for (int d = block.begin; d < block.end && sum == sum; ++d) {
      const DepthAt depth = problem.depth_at(d);
      if (!is_inside(problem, column, depth)) continue;
      sum = fmaf(problem.a[i * problem.a_row + depth.a], problem.b[column.b + depth.b], sum);
    }
    *problem.place(i, column.out) = problem.finish(i, column.out, sum);
  }
}

// A Problem has
//   int rows, columns, depth, height, width;  const float *a, *b;  int a_row;
//   void begin(Batches, int batch, int split)  moves the pointers; a thread may begin its own copy again
//   DepthAt depth_at(int d)  ColumnAt column_at(int j)
//   float finish(int i, int column_out, float sum)   what becomes of it
//   float* place(int i, int column_out)              where
// and says in which direction its matrices are contiguous: a_along_rows (neighbouring i), b_along_depth (neighbouring
// d); and with has_outside whether elements can lie outside the image.
template <class Problem, class T, class Batches>
__global__ void __launch_bounds__(T::threads, 512 / T::threads)
    gather_gemm_kernel(const __grid_constant__ Problem given, const __grid_constant__ Batches batches,
                       int split_depth) {
  const Shared<float> a_tiles = dynamic_shared<float>(), b_tiles = a_tiles + T::stages * T::a_floats;
  const Shared<DepthAt> depths = shared_cast<DepthAt>(b_tiles + T::stages * T::b_floats);
  const Shared<ColumnAt> columns = shared_cast<ColumnAt>(depths + T::stages * T::depth);

  const int thread = static_cast<int>(threadIdx.x);
  batches.begin_block();
  Problem problem = given;
  const auto block = GemmBlock<T>::of(problem, batches, split_depth);
  const int first_row = block.first_row, first_column = block.first_column;
  if (first_column >= problem.columns) return;  // batches may have fewer

  const auto set_depth = [&](int slice, int at) {
    const int d = block.begin + slice * T::depth + at;
    depths[slice % T::stages * T::depth + at] = d < block.end ? problem.depth_at(d) : DepthAt{-1, 0, far_outside, 0};
  };
  for (int at = thread; at < T::stages * T::depth; at += T::threads) set_depth(at / T::depth, at % T::depth);
  for (int j = thread; j < T::columns; j += T::threads) {
    const int column = first_column + j;
    columns[j] = column < problem.columns ? problem.column_at(column) : ColumnAt{0, -1, far_outside, 0};
  }
  __syncthreads();

  // Of both operands a thread copies numbers whose place along one direction stays the same; what it knows of that
  // place it keeps.
  constexpr int a_inner = Problem::a_along_rows ? T::rows : T::depth, a_step = T::threads / a_inner;
  constexpr int b_inner = Problem::b_along_depth ? T::depth : T::columns, b_step = T::threads / b_inner;
  static_assert(T::threads % a_inner == 0 && T::threads % b_inner == 0, "a place is a thread's");
  const int a_place = thread % a_inner, a_first = thread / a_inner;
  const int b_place = thread % b_inner, b_first = thread / b_inner;
  const int a_row = first_row + (Problem::a_along_rows ? a_place : a_first), a_rows_left = problem.rows - a_row;
  const unsigned a_pitch = problem.a_row, a_from = a_row * a_pitch, a_stride = a_step * a_pitch;
  const ColumnAt own = columns[Problem::b_along_depth ? 0 : b_place];

  const auto load = [&](int slice) {
    const Shared<DepthAt> slice_depths = depths + slice % T::stages * T::depth;
    const Shared<float> a_tile = a_tiles + slice % T::stages * T::a_floats;
    const Shared<float> b_tile = b_tiles + slice % T::stages * T::b_floats;
    const DepthAt a_depth = slice_depths[Problem::a_along_rows ? 0 : a_place];
#pragma unroll
    for (int step = 0; step < T::rows * T::depth / T::threads; ++step) {
      const int along = a_first + step * a_step;
      const int depth = Problem::a_along_rows ? DepthAt(slice_depths[along]).a : a_depth.a;
      const bool valid = depth >= 0 && a_rows_left > (Problem::a_along_rows ? 0 : step * a_step);
      const unsigned offset = valid ? a_from + depth + (Problem::a_along_rows ? 0 : step * a_stride) : 0;
      copy_async(a_tile + (Problem::a_along_rows ? a_place * T::a_pitch + along : along * T::a_pitch + a_place),
                 problem.a + offset, valid);
    }
    const DepthAt b_depth = slice_depths[Problem::b_along_depth ? b_place : 0];
#pragma unroll
    for (int step = 0; step < T::columns * T::depth / T::threads; ++step) {
      const int along = b_first + step * b_step;
      const DepthAt depth = Problem::b_along_depth ? b_depth : DepthAt(slice_depths[along]);
      const ColumnAt column = Problem::b_along_depth ? ColumnAt(columns[along]) : own;
      const bool valid = is_inside(problem, column, depth);
      const unsigned offset = valid ? column.b + depth.b : 0;
      copy_async(b_tile + (Problem::b_along_depth ? b_place * T::b_pitch + along : along * T::b_pitch + b_place),
                 problem.b + offset, valid);
    }
  };

  Float32Product<T> product;
  run_pipeline<T>(block.slices, load, set_depth, [&](int slice) {
    product.add(a_tiles + slice % T::stages * T::a_floats, b_tiles + slice % T::stages * T::b_floats);
  });
  const std::uint64_t nans = Problem::has_outside ? product.nans() : 0;
  const int rows_left = problem.rows - first_row, columns_left = problem.columns - first_column;
  product.for_each([&](int i, int j, float& sum) {
    if (i < rows_left && j < columns_left) sum = problem.finish(first_row + i, ColumnAt(columns[j]).out, sum);
  });
  product.for_each_four([&](int i, int j, const float* sums) {
    if (i >= rows_left || j >= columns_left) return;
    const int first = ColumnAt(columns[j]).out, last = ColumnAt(columns[j + 3]).out;
    float* place = problem.place(first_row + i, first);
    if (last == first + 3 && is_octet_aligned(place)) return write_four(place, sums);
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      if (j + k < columns_left) *problem.place(first_row + i, ColumnAt(columns[j + k]).out) = sums[k];
    }
  });
  if (nans != 0) store_what_meets<Problem, T>(given, batches, split_depth, nans);
}

template <class Problem, class T, class Batches>
void launch_tile(const Problem& problem, const Batches& batches, const GemmPlan& plan) {
  launch(gather_gemm_kernel<Problem, T, Batches>, grid_of<T>(problem, batches.count(), plan), T::threads,
         std::size_t{T::shared_bytes}, problem, batches, plan.split_depth);
}

// Computes all batches of a problem. With several splits each writes its part of the sums where problem.begin put it.
template <class Problem, class Batches>
void gather_gemm(const Problem& problem, const Batches& batches, const GemmPlan& plan) {
  if (problem.rows == 0 || problem.columns == 0 || batches.count() == 0) return;
  switch (plan.tile) {
    case GemmTile::large: return launch_tile<Problem, Tile<128, 128>>(problem, batches, plan);
    case GemmTile::wide: return launch_tile<Problem, Tile<32, 128>>(problem, batches, plan);
    default: return launch_tile<Problem, Tile<64, 64>>(problem, batches, plan);
  }
}

}  // namespace dip::cuda
