#include "cuda/gemm/block.h"

namespace dip::cuda {
namespace {

__global__ void add_splits_kernel(const float* parts, int splits, std::int64_t count, float* result) {
  for (std::int64_t i = first_element(); i < count; i += element_step()) {
    result[i] = sum_of_splits(parts + i, splits, count);
  }
}

}  // namespace

void add_splits(const float* parts, int splits, std::int64_t count, float* result) {
  launch_elements(add_splits_kernel, count, parts, splits, count, result);
}

}  // namespace dip::cuda
