#include "cuda/training.h"

#include "cuda/sum.h"

namespace dip::cuda {
namespace {

__global__ void gather_kernel(const std::uint32_t* source, std::int64_t source_rows, const std::int64_t* order,
                              std::int64_t order_count, const std::int64_t* position, std::int64_t rows,
                              std::int64_t words, std::uint32_t* out) {
  for (std::int64_t i = first_element(); i < rows * words; i += element_step()) {
    const std::int64_t at = *position + i / words;
    const std::int64_t row = at < order_count ? order[at] : -1;
    out[i] = row >= 0 && row < source_rows ? source[row * words + i % words] : 0;
  }
}

__global__ void finish_kernel(const double* loss, const float* counts, std::int64_t rows, std::int64_t classes,
                              const float* logits, const std::int64_t* labels, double* totals, std::int64_t* position,
                              std::int64_t* update) {
  DIP_SHARED_ARRAY(double, count_of_thread, threads_per_block);
  double count = 0.0;
  for (std::int64_t row = threadIdx.x; counts && row < rows; row += threads_per_block) count += counts[row];
  count_of_thread[threadIdx.x] = count;
  double right = 0.0;
  for (std::int64_t row = threadIdx.x; logits && row < rows; row += threads_per_block) {
    const float* z = logits + row * classes;
    std::int64_t best = 0;
    for (std::int64_t c = 1; c < classes; ++c) best = z[c] > z[best] ? c : best;
    right += best == labels[row];
  }
  right = block_sum(right);
  if (threadIdx.x != 0) return;
  count = counts ? 0.0 : 1.0;
  for (int i = 0; counts && i < threads_per_block; ++i) count += count_of_thread[i];
  if (count > 0.0) totals[0] += *loss * count;  // the mean of nothing is NaN
  totals[1] += right;
  *position += rows;
  *update += 1;
}

__global__ void add_kernel(std::int64_t count, const float* a, const float* b, float* y) {
  stream_elements(count, [=](std::int64_t i) { return a[i] + b[i]; }, [=](std::int64_t i, float sum) { y[i] = sum; });
}

}  // namespace

void gather_batch(const void* source, std::int64_t source_rows, const std::int64_t* order, std::int64_t order_count,
                  const std::int64_t* position, std::int64_t rows, std::int64_t bytes, void* out) {
  launch_elements(gather_kernel, rows * (bytes / 4), static_cast<const std::uint32_t*>(source), source_rows, order,
                  order_count, position, rows, bytes / 4, static_cast<std::uint32_t*>(out));
}

void finish_step(const double* loss, const float* counts, std::int64_t rows, std::int64_t classes, const float* logits,
                 const std::int64_t* labels, double* totals, std::int64_t* position, std::int64_t* update) {
  launch(finish_kernel, 1u, threads_per_block, loss, counts, rows, classes, logits, labels, totals, position, update);
}

void add(std::int64_t count, const float* a, const float* b, float* y) {
  launch_stream(add_kernel, count, count, a, b, y);
}

}  // namespace dip::cuda
