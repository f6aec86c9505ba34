// Products of few results on the GPU. The tiles of cuda/gemm/gather.h would leave most of its multiprocessors idle and
// the others waiting, one short slice of the depth after the other. Here a block has 16 × 32 results, and each of its
// eight warps an eighth of every slice of the depth: all of them have something to multiply while copies are under way.
// The warps' sums are added in their order, and so are those of blocks that share the depth: the same bits every time.
//
// Numbers are copied 16 bytes at a time where they lie so, and widened as they are multiplied.
#include "ops/linear/small_product.h"

#include "cuda/activation.h"
#include "cuda/divisor.h"
#include "cuda/gemm/block.h"
#include "cuda/half.h"

namespace dip::cuda {
namespace {

struct SmallTile {
  static constexpr int rows = 16, columns = 32, warps = 8, threads = 32 * warps;
  static constexpr int depth_of_warp = 16, depth = warps * depth_of_warp, stages = 3;
  static constexpr bool warpgroups = false;
};

template <class Number>
constexpr int numbers_at_once = 16 / static_cast<int>(sizeof(Number));

// Four numbers in shared memory, at a multiple of their bytes.
__device__ inline void read_numbers(Shared<Single> from, float (&to)[4]) {
  read_four(shared_cast<float>(from), to);
}
template <class Number>
__device__ void read_numbers(Shared<Number> from, float (&to)[4]) {
  const HalfFour bits = shared_cast<HalfFour>(from)[0];
#pragma unroll
  for (int k = 0; k < 4; ++k) to[k] = Number{bits.at[k]}.widen();
}

// One operand's slice in shared memory, numbers in the order in which they lie in the array: lines along the depth, or
// along the rows or columns. The padding puts what a warp reads at once into different banks.
template <class Number, int extent, bool along_depth>
struct SmallSlice {
  using T = SmallTile;
  static constexpr int line = along_depth ? T::depth : extent, lines = along_depth ? extent : T::depth;
  static constexpr int pitch = line + numbers_at_once<Number>, numbers = lines * pitch;
  static constexpr int patch = 4, across = extent / patch;  // results of a lane, and lanes, along this direction

  // Starts to copy the slice that begins at depth `d`: `width` numbers at a time, which lie side by side.
  template <int width>
  __device__ static void copy(Shared<Number> to, const Number* from, int stride, int d_stride, int first, int end,
                              int d, int d_end) {
    constexpr int copies = line / width;
    static_assert(lines * copies % T::threads == 0, "all threads copy alike");
#pragma unroll
    for (int step = 0; step < lines * copies / T::threads; ++step) {
      const int at = static_cast<int>(threadIdx.x) + step * T::threads;
      const int along = at % copies * width, across_lines = at / copies;
      const int x = first + (along_depth ? across_lines : along), at_depth = d + (along_depth ? along : across_lines);
      const bool valid = x < end && at_depth < d_end;
      const Number* source = from + (valid ? x * stride + at_depth * d_stride : 0);
      const Shared<Number> place = to + across_lines * pitch + along;
      if constexpr (width > 1) {
        copy_octet_async(shared_cast<std::uint16_t>(place), reinterpret_cast<const std::uint16_t*>(source), valid);
      } else {
        copy_async(shared_cast<float>(place), reinterpret_cast<const float*>(source), valid);
      }
    }
  }

  // Which of the rows or columns is number i of those of a lane that is number `lane` across.
  __device__ static int place(int lane, int i) { return along_depth ? lane + i * across : lane * patch + i; }

  // What four neighbours of the depth have for this lane: [i][step].
  __device__ static void read(Shared<Number> slice, int lane, int d, float (&to)[patch][4]) {
    if constexpr (along_depth) {
#pragma unroll
      for (int i = 0; i < patch; ++i) read_numbers(slice + place(lane, i) * pitch + d, to[i]);
    } else {
#pragma unroll
      for (int step = 0; step < 4; ++step) {
        float four[patch];
        read_numbers(slice + (d + step) * pitch + place(lane, 0), four);
#pragma unroll
        for (int i = 0; i < patch; ++i) to[i][step] = four[i];
      }
    }
  }
};

template <class Number_, bool along_rows, bool along_depth>
struct SmallProduct {
  using Number = Number_;
  using A = SmallSlice<Number, SmallTile::rows, !along_rows>;
  using B = SmallSlice<Number, SmallTile::columns, along_depth>;
  int rows, columns, depth;
  const Number* a;
  int a_row, a_depth;
  const Number* b;
  int b_column, b_depth;
  const Number* bias;
  ActivationSpec activation;
  Number* result;

  __device__ void store(int i, int j, float sum) const {
    const float shifted = bias ? sum + bias[j].widen() : sum;
    result[i * columns + j] = Number::round(activate_one_of_many(shifted, activation));
  }

  // Whether the numbers of each operand can be copied 16 bytes at a time, and none of them is beyond the end.
  bool copies_whole() const {
    constexpr int together = numbers_at_once<Number>;
    const auto is_whole = [](const Number* start, int line, int stride) {
      return is_octet_aligned(start) && line % together == 0 && stride % together == 0;
    };
    return is_whole(a, along_rows ? rows : depth, along_rows ? a_depth : a_row) &&
           is_whole(b, along_depth ? depth : columns, along_depth ? b_column : b_depth);
  }
};

// `whole`: numbers are copied 16 bytes at a time. Where blocks share the depth each leaves its sums in `parts`.
template <class Problem, bool whole>
__global__ void __launch_bounds__(SmallTile::threads, 2)
    small_product_kernel(Problem problem, int split_depth, float* parts) {
  using T = SmallTile;
  using Number = typename Problem::Number;
  using A = typename Problem::A;
  using B = typename Problem::B;
  constexpr int width = whole ? numbers_at_once<Number> : 1;
  const Shared<Number> a_slices = dynamic_shared<Number>(), b_slices = a_slices + T::stages * A::numbers;
  const int thread = static_cast<int>(threadIdx.x), warp = thread / 32;
  const int down = thread % 32 / B::across, across = thread % 32 % B::across;
  const GemmBlock<T> block(1, problem.depth, split_depth);

  const auto load = [&](int slice) {
    const int d = block.begin + slice * T::depth, stage = slice % T::stages;
    A::template copy<width>(a_slices + stage * A::numbers, problem.a, problem.a_row, problem.a_depth, block.first_row,
                            problem.rows, d, block.end);
    B::template copy<width>(b_slices + stage * B::numbers, problem.b, problem.b_column, problem.b_depth,
                            block.first_column, problem.columns, d, block.end);
  };
  float sums[A::patch][B::patch] = {};
  const auto add = [&](int slice) {
    const int stage = slice % T::stages;
#pragma unroll
    for (int step = 0; step < T::depth_of_warp; step += 4) {
      const int d = warp * T::depth_of_warp + step;
      float left[A::patch][4], right[B::patch][4];
      A::read(a_slices + stage * A::numbers, down, d, left);
      B::read(b_slices + stage * B::numbers, across, d, right);
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
  static_assert(T::warps * tile * sizeof(float) <= T::stages * (A::numbers + B::numbers) * sizeof(Number),
                "the sums fit where the slices were");
  const Shared<float> all_sums = shared_cast<float>(a_slices);
  __syncthreads();
#pragma unroll
  for (int i = 0; i < A::patch; ++i) {
#pragma unroll
    for (int j = 0; j < B::patch; ++j) {
      all_sums[warp * tile + A::place(down, i) * pitch + B::place(across, j)] = sums[i][j];
    }
  }
  __syncthreads();
  for (int at = thread; at < T::rows * T::columns; at += T::threads) {
    const int i = at / T::columns, j = at % T::columns;
    float sum = 0.0f;
#pragma unroll
    for (int w = 0; w < T::warps; ++w) sum += all_sums[w * tile + i * pitch + j];
    const int row = block.first_row + i, column = block.first_column + j;
    if (row >= problem.rows || column >= problem.columns) continue;
    if (parts) {
      parts[(block.split * problem.rows + row) * problem.columns + column] = sum;
    } else {
      problem.store(row, column, sum);
    }
  }
}

template <class Problem>
__global__ void finish_small_product_kernel(Problem problem, int splits, const float* parts) {
  const std::int64_t count = std::int64_t{problem.rows} * problem.columns;
  for (std::int64_t i = first_element(); i < count; i += element_step()) {
    float sum = 0.0f;
    for (int split = 0; split < splits; ++split) sum += parts[split * count + i];
    problem.store(static_cast<int>(i / problem.columns), static_cast<int>(i % problem.columns), sum);
  }
}

template <class Problem>
void run_small_product(const Problem& problem, const GemmPlan& plan) {
  using Number = typename Problem::Number;
  constexpr std::size_t bytes = SmallTile::stages * (Problem::A::numbers + Problem::B::numbers) * sizeof(Number);
  const std::int64_t count = std::int64_t{problem.rows} * problem.columns;
  const DeviceScratch<float> parts(plan.splits > 1 ? plan.splits * count : 0);
  const auto go = [&](auto kernel) {
    launch(kernel, grid_of<SmallTile>(problem, 1, plan), static_cast<unsigned>(SmallTile::threads), bytes, problem,
           plan.split_depth, plan.splits > 1 ? parts.data() : nullptr);
  };
  if constexpr (std::is_same_v<Number, Single>) {
    problem.copies_whole() ? go(small_product_kernel<Problem, true>) : go(small_product_kernel<Problem, false>);
  } else {
    go(small_product_kernel<Problem, true>);
  }
  if (plan.splits > 1) {
    launch_elements(finish_small_product_kernel<Problem>, count, problem, plan.splits,
                    static_cast<const float*>(parts.data()));
  }
}

// The gradient of the weights for a batch of a few rows, which only writes: four results a thread.
constexpr std::int64_t most_outer_rows = 4;

template <class Number>
__global__ void outer_product_kernel(int fours, Divisor columns, int depth, int rows, const Number* a, Reals b,
                                     RealResults result) {
  const int fours_of_row = static_cast<int>(columns.divisor);
  stream_elements(
      static_cast<int>(first_element()), fours, static_cast<int>(element_step()),
      [&](int i) {
        Four sums{};
        int row = i;
        const int column = columns.take_remainder(row);
        for (int d = 0; d < depth; ++d) {
          const float left = a[d * rows + row].widen();
          const Four right = read_four(b, d * fours_of_row + column);
#pragma unroll
          for (int k = 0; k < 4; ++k) sums.at[k] = fmaf(left, right.at[k], sums.at[k]);
        }
        return sums;
      },
      [&](int i, const Four& sums) { write_four(result, i, sums); });
}

bool fits_outer(Layout layout, std::int64_t columns, std::int64_t depth) {
  return layout == Layout::backward_weight && depth <= most_outer_rows && columns % 4 == 0;
}

template <class Number>
bool multiply_outer(const StridedProduct& p) {
  const bool fits = fits_outer(p.layout, p.columns, p.depth) && moves_fours(p.b.data, p.b.dtype) &&
                    moves_fours(p.result.data, p.result.dtype);
  if (!fits || !may_avoid_tiles()) return false;
  const int fours = static_cast<int>(p.rows * p.columns / 4);
  launch_stream(outer_product_kernel<Number>, fours, fours, Divisor(static_cast<int>(p.columns / 4)),
                static_cast<int>(p.depth), static_cast<int>(p.rows), static_cast<const Number*>(p.a.data), p.b,
                p.result);
  return true;
}

template <class Number, bool along_rows, bool along_depth>
bool multiply_tile(const StridedProduct& p) {
  const SmallProduct<Number, along_rows, along_depth> problem{int(p.rows),
                                                              int(p.columns),
                                                              int(p.depth),
                                                              static_cast<const Number*>(p.a.data),
                                                              int(p.a_row),
                                                              int(p.a_depth),
                                                              static_cast<const Number*>(p.b.data),
                                                              int(p.b_column),
                                                              int(p.b_depth),
                                                              static_cast<const Number*>(p.bias.data),
                                                              p.activation,
                                                              static_cast<Number*>(p.result.data)};
  // Tensor cores, which are the other way to multiply 16 bits, are worth packing for sooner.
  constexpr bool is_single = std::is_same_v<Number, Single>;
  if (!is_single && !problem.copies_whole()) return false;
  const GemmPlan plan = plan_small_product(p.rows, p.columns, p.depth, multiprocessors(), is_single ? 4 : 1);
  if (plan.splits == 0) return false;
  run_small_product(problem, plan);
  return true;
}

}  // namespace

bool small_product_serves(Layout layout, std::int64_t rows, std::int64_t columns, std::int64_t depth) {
  if (!offsets_reach(rows, columns, depth)) return false;
  if (fits_outer(layout, columns, depth) && may_avoid_tiles()) return true;
  return plan_small_product(rows, columns, depth, multiprocessors(), 4).splits > 0;
}

bool multiply_small(const StridedProduct& p) {
  if (!offsets_reach(p.rows, p.columns, p.depth)) return false;
  bool done = false;
  with_number(p.a.dtype, [&](auto* null) {
    using Number = std::remove_pointer_t<decltype(null)>;
    switch (p.layout) {
      case Layout::forward: done = multiply_tile<Number, false, true>(p); break;
      case Layout::backward_data: done = multiply_tile<Number, false, false>(p); break;
      case Layout::backward_weight: done = multiply_outer<Number>(p) || multiply_tile<Number, true, false>(p); break;
    }
  });
  return done;
}

}  // namespace dip::cuda
