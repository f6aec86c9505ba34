// Checks of values on the GPU, without making the host wait.
#pragma once

#include "core/check.h"
#include "core/device.h"

namespace dip::cuda {

// Leaves the first i with bad(i), and bad.value(i), in `fault`. The lock is taken by one thread of a block, and only
// where something is wrong; the first position wins whatever the order of the blocks.
template <class Bad>
__global__ void find_kernel(Bad bad, std::int64_t count, Fault* fault) {
  DIP_SHARED_ARRAY(std::int64_t, firsts, threads_per_block);
  std::int64_t first = count;
  for (std::int64_t i = first_element(); i < count; i += element_step()) {
    if (bad(i)) {
      first = i;
      break;
    }
  }
  if (!__syncthreads_or(first < count)) return;
  firsts[threadIdx.x] = first;
  __syncthreads();
  if (threadIdx.x != 0) return;
  for (int i = 1; i < threads_per_block; ++i) first = firsts[i] < first ? firsts[i] : first;
  while (atomicExch_system(&fault->lock, 1) != 0) {
  }
  __threadfence_system();
  if (fault->position < 0 || first < fault->position) {
    fault->value = bad.value(first);
    fault->position = first;
  }
  __threadfence_system();
  atomicExch_system(&fault->lock, 0);
}

// Error(describe(i, value)) is raised later, where any bad(i).
template <class Error, class Bad>
void check_none(Bad bad, std::int64_t count, std::function<std::string(std::int64_t, double)> describe) {
  if (count <= 0) return;
  Fault* fault = watch([describe = std::move(describe)](std::int64_t position, double value) {
    throw Error(describe(position, value));
  });
  launch_elements(find_kernel<Bad>, count, bad, count, fault);
}

}  // namespace dip::cuda
