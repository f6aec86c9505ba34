#include "core/reduce.h"

#include "core/device.h"

namespace dip::cuda {
namespace {

// total = Σ values[i] in float64: every thread adds its share in order, then a tree over the block.
__global__ void sum_kernel(const float* values, std::int64_t count, double* total) {
  DIP_SHARED_ARRAY(double, partial, threads_per_block);
  double sum = 0.0;
  for (std::int64_t i = threadIdx.x; i < count; i += threads_per_block) sum += values[i];
  partial[threadIdx.x] = sum;
  for (unsigned half = threads_per_block / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) partial[threadIdx.x] += partial[threadIdx.x + half];
  }
  if (threadIdx.x == 0) *total = partial[0];
}

}  // namespace

double sum_on_device(const float* values, std::int64_t count) {
  DeviceScratch<double> total(1);
  launch(sum_kernel, 1u, static_cast<unsigned>(threads_per_block), values, count, total.data());
  double result = 0.0;
  copy_to_host(&result, total.data(), 1);
  return result;
}

}  // namespace dip::cuda
