#include "cuda/training.h"

#include "cuda/sum.h"

namespace dip::cuda {
namespace {

struct Gathering {
  GatheredRows arrays[most_gathered];
};

// Every array's rows as `width` words at a time, by the blocks of one row of the grid.
template <class Words>
__device__ void gather_array(const GatheredRows& array, const std::int64_t* order, std::int64_t order_count,
                             std::int64_t position, std::int64_t rows) {
  constexpr int width = sizeof(Words) / 4;
  const std::int64_t words = array.words / width;
  for (std::int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const std::int64_t at = position + row, from = at < order_count ? order[at] : -1;
    const bool there = from >= 0 && from < array.source_rows;
    const Words* source = reinterpret_cast<const Words*>(array.source) + (there ? from * words : 0);
    Words* to = reinterpret_cast<Words*>(array.out) + row * words;
    for (std::int64_t i = threadIdx.x; i < words; i += blockDim.x) to[i] = there ? source[i] : Words{};
  }
}

struct alignas(16) FourWords {
  std::uint32_t at[4];
};

// The arrays stay where parameters are: a copy that an index chooses from would lie in memory, once for each thread.
__global__ void gather_kernel(const __grid_constant__ Gathering gathering, const std::int64_t* order,
                              std::int64_t order_count, const std::int64_t* position, std::int64_t rows) {
  const GatheredRows& array = gathering.arrays[blockIdx.y];
  const bool whole = array.words % 4 == 0 && is_octet_aligned(array.source) && is_octet_aligned(array.out);
  if (whole) {
    gather_array<FourWords>(array, order, order_count, *position, rows);
  } else {
    gather_array<std::uint32_t>(array, order, order_count, *position, rows);
  }
}

template <int threads>
__global__ void finish_kernel(const double* loss, const float* counts, std::int64_t rows, std::int64_t classes,
                              const float* logits, const std::int64_t* labels, double* totals, std::int64_t* position,
                              std::int64_t* update) {
  double count = 0.0;
  for (std::int64_t row = threadIdx.x; counts && row < rows; row += threads) count += counts[row];
  double right = 0.0;
  for (std::int64_t row = threadIdx.x; logits && row < rows; row += threads) {
    const float* z = logits + row * classes;
    std::int64_t best = 0;
    for (std::int64_t c = 1; c < classes; ++c) best = z[c] > z[best] ? c : best;
    right += best == labels[row];
  }
  right = block_sum<threads>(right);
  count = counts ? block_sum<threads>(count) : 1.0;
  if (threadIdx.x != 0) return;
  if (count > 0.0) totals[0] += *loss * count;  // the mean of nothing is NaN
  totals[1] += right;
  *position += rows;
  *update += 1;
}

__global__ void add_kernel(std::int64_t count, const float* a, const float* b, float* y) {
  stream_elements(count, [=](std::int64_t i) { return a[i] + b[i]; }, [=](std::int64_t i, float sum) { y[i] = sum; });
}

}  // namespace

void gather_rows(const GatheredRows* arrays, int count, const std::int64_t* order, std::int64_t order_count,
                 const std::int64_t* position, std::int64_t rows) {
  Gathering gathering{};
  std::copy(arrays, arrays + count, gathering.arrays);
  const std::int64_t blocks = std::min(rows, most_blocks);
  if (count == 0 || blocks == 0) return;
  launch(gather_kernel, Grid{static_cast<unsigned>(blocks), static_cast<unsigned>(count)},
         static_cast<unsigned>(threads_per_block), std::size_t{0}, gathering, order, order_count, position, rows);
}

void finish_step(const double* loss, const float* counts, std::int64_t rows, std::int64_t classes, const float* logits,
                 const std::int64_t* labels, double* totals, std::int64_t* position, std::int64_t* update) {
  constexpr int many = 1024;
  const bool is_small = rows <= threads_per_block;
  launch(is_small ? finish_kernel<threads_per_block> : finish_kernel<many>, 1u, is_small ? threads_per_block : many,
         loss, counts, rows, classes, logits, labels, totals, position, update);
}

void add(std::int64_t count, const float* a, const float* b, float* y) {
  launch_stream(add_kernel, count, count, a, b, y);
}

}  // namespace dip::cuda
