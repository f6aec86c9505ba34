// Checks of values on the GPU, without making the host wait.
#pragma once

#include "core/check.h"
#include "cuda/device.h"

namespace dip::cuda {

// For kernels that check what they read: each thread of the block calls it with the first position at which it found
// something wrong, or one that is none, below 0, and leaves the first of all in `fault` with value(position). The lock
// is taken by one thread of a block, and only where something is wrong; the first position wins whatever the order of
// the blocks.
template <int threads = threads_per_block, class Value>
__device__ void report_first(std::int64_t position, const Value& value, Fault* fault) {
  if (!__syncthreads_or(position >= 0)) return;
  DIP_SHARED_ARRAY(std::int64_t, positions, threads);
  positions[threadIdx.x] = position;
  __syncthreads();
  if (threadIdx.x != 0) return;
  for (int i = 1; i < threads; ++i) {
    const std::int64_t other = positions[i];
    if (other >= 0 && (position < 0 || other < position)) position = other;
  }
  while (atomicExch_system(&fault->lock, 1) != 0) {
  }
  __threadfence_system();
  if (fault->position < 0 || position < fault->position) {
    fault->value = value(position);
    fault->position = position;
  }
  __threadfence_system();
  atomicExch_system(&fault->lock, 0);
}

template <class Bad>
__global__ void find_kernel(Bad bad, std::int64_t count, Fault* fault) {
  std::int64_t first = -1;
  for (std::int64_t i = first_element(); i < count && first < 0; i += element_step()) {
    if (bad(i)) first = i;
  }
  report_first(first, [&](std::int64_t i) { return bad.value(i); }, fault);
}

// A place for what kernels find, which is raised later.
template <class Error>
Fault* watch_for(std::function<std::string(std::int64_t, double)> describe) {
  return watch([describe = std::move(describe)](std::int64_t position, double value) {
    throw Error(describe(position, value));
  });
}

// Error(describe(i, value)) is raised later, where any bad(i).
template <class Error, class Bad>
void check_none(Bad bad, std::int64_t count, std::function<std::string(std::int64_t, double)> describe) {
  if (count <= 0) return;
  launch_elements(find_kernel<Bad>, count, bad, count, watch_for<Error>(std::move(describe)));
}

}  // namespace dip::cuda
