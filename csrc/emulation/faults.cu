#include "emulation/faults.h"

#include <vector>

#include "core/check.h"
#include "core/device.h"

namespace dip::cuda {
namespace {

constexpr int threads = 64;

// Each thread hands its number to its neighbour through shared memory.
__global__ void rotate_kernel(bool with_barrier, int* result) {
  DIP_SHARED_ARRAY(int, numbers, threads);
  numbers[threadIdx.x] = static_cast<int>(threadIdx.x);
  if (with_barrier) __syncthreads();
  result[threadIdx.x] = numbers[(threadIdx.x + 1) % threads];
}

__global__ void divergent_kernel() {
  if (threadIdx.x < threads / 2) __syncthreads();
}

__global__ void overrun_kernel(int* result) {
  result[threadIdx.x + 1] = 0;
}

}  // namespace

bool run_planted_fault(const std::string& name) {
  DeviceScratch<int> result(threads);
  if (name == "divergent_barrier") {
    launch(divergent_kernel, 1u, static_cast<unsigned>(threads));
    return true;
  }
  if (name == "out_of_bounds") {
    launch(overrun_kernel, 1u, static_cast<unsigned>(threads), result.data());
    return true;
  }
  check(name == "none" || name == "missing_barrier", "run_planted_fault: there is no fault \"", name, "\"");
  launch(rotate_kernel, 1u, static_cast<unsigned>(threads), name == "none", result.data());
  std::vector<int> numbers(threads);
  copy_to_host(numbers.data(), result.data(), threads * sizeof(int));
  bool right = true;
  for (int i = 0; i < threads; ++i) right = right && numbers[i] == (i + 1) % threads;
  return right;
}

}  // namespace dip::cuda
