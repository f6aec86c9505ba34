#include "core/sum.h"

#include "core/device_sum.h"

namespace dip::cuda {
namespace {

struct Element {
  const float* values;
  __device__ double operator()(std::int64_t i) const { return values[i]; }
};

__global__ void finish_sum_kernel(const double* partial, int count, double divisor, const double* device_divisor,
                                  double* total) {
  double sum = 0.0;
  for (int i = static_cast<int>(threadIdx.x); i < count; i += threads_per_block) sum += partial[i];
  sum = block_sum(sum);
  if (threadIdx.x == 0) *total = sum / divisor / (device_divisor ? *device_divisor : 1.0);
}

}  // namespace

void finish_sum(const double* partial, int count, double divisor, const double* device_divisor, double* total) {
  launch(finish_sum_kernel, 1u, threads_per_block, partial, count, divisor, device_divisor, total);
}

void sum(const float* values, std::int64_t count, double divisor, double* total) {
  sum_elements(count, Element{values}, divisor, nullptr, total);
}

}  // namespace dip::cuda
