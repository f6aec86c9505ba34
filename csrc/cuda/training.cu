#include "cuda/training.h"

#include "cuda/sum.h"

namespace dip::cuda {
namespace {

struct Gathering {
  GatheredRows arrays[most_gathered];
};

__global__ void gather_kernel(Gathering gathering, const std::int64_t* order, std::int64_t order_count,
                              const std::int64_t* position, std::int64_t rows) {
  const GatheredRows array = gathering.arrays[blockIdx.y];
  for (std::int64_t i = first_element(); i < rows * array.words; i += element_step()) {
    const std::int64_t at = *position + i / array.words;
    const std::int64_t row = at < order_count ? order[at] : -1;
    array.out[i] = row >= 0 && row < array.source_rows ? array.source[row * array.words + i % array.words] : 0;
  }
}

__global__ void finish_kernel(const double* loss, const float* counts, std::int64_t rows, std::int64_t classes,
                              const float* logits, const std::int64_t* labels, double* totals, std::int64_t* position,
                              std::int64_t* update) {
  double count = 0.0;
  for (std::int64_t row = threadIdx.x; counts && row < rows; row += threads_per_block) count += counts[row];
  double right = 0.0;
  for (std::int64_t row = threadIdx.x; logits && row < rows; row += threads_per_block) {
    const float* z = logits + row * classes;
    std::int64_t best = 0;
    for (std::int64_t c = 1; c < classes; ++c) best = z[c] > z[best] ? c : best;
    right += best == labels[row];
  }
  right = block_sum(right);
  count = counts ? block_sum(count) : 1.0;
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
  std::int64_t most = 0;
  for (int i = 0; i < count; ++i) {
    gathering.arrays[i] = arrays[i];
    most = std::max(most, rows * arrays[i].words);
  }
  if (most == 0) return;
  const std::int64_t blocks = std::min((most + threads_per_block - 1) / threads_per_block, most_blocks);
  launch(gather_kernel, Grid{static_cast<unsigned>(blocks), static_cast<unsigned>(count)},
         static_cast<unsigned>(threads_per_block), std::size_t{0}, gathering, order, order_count, position, rows);
}

void finish_step(const double* loss, const float* counts, std::int64_t rows, std::int64_t classes, const float* logits,
                 const std::int64_t* labels, double* totals, std::int64_t* position, std::int64_t* update) {
  launch(finish_kernel, 1u, threads_per_block, loss, counts, rows, classes, logits, labels, totals, position, update);
}

void add(std::int64_t count, const float* a, const float* b, float* y) {
  launch_stream(add_kernel, count, count, a, b, y);
}

}  // namespace dip::cuda
