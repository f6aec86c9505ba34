#include "emulation/faults.h"

#include <numeric>
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

// Each thread reads its own number back from shared memory, where an asynchronous copy brings it.
__global__ void copy_kernel(const float* numbers, int* result) {
  DIP_SHARED_ARRAY(float, copies, threads);
  copy_async(copies + threadIdx.x, numbers + threadIdx.x, true);
  copy_async_commit();
  copy_async_wait<1>();  // 0 would wait for the group
  result[threadIdx.x] = copies[threadIdx.x] == static_cast<float>(threadIdx.x);
}

__global__ void shared_overrun_kernel(int* result) {
  DIP_SHARED_ARRAY(int, numbers, threads);
  result[threadIdx.x] = numbers[threadIdx.x + 1];
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
  if (name == "shared_out_of_bounds") {
    launch(shared_overrun_kernel, 1u, static_cast<unsigned>(threads), result.data());
    return true;
  }
  std::vector<int> got(threads), expected(threads);
  if (name == "missing_wait") {
    DeviceScratch<float> numbers(threads);
    std::vector<float> host(threads);
    std::iota(host.begin(), host.end(), 0.0f);
    copy_to_device(numbers.data(), host.data(), threads * sizeof(float));
    launch(copy_kernel, 1u, static_cast<unsigned>(threads), numbers.data(), result.data());
    expected.assign(threads, 1);
  } else {
    check(name == "none" || name == "missing_barrier", "run_planted_fault: there is no fault \"", name, "\"");
    launch(rotate_kernel, 1u, static_cast<unsigned>(threads), name == "none", result.data());
    for (int i = 0; i < threads; ++i) expected[i] = (i + 1) % threads;
  }
  copy_to_host(got.data(), result.data(), threads * sizeof(int));
  return got == expected;
}

}  // namespace dip::cuda
