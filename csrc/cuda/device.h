// What the kernels in .cu files are written against: CUDA C++ under nvcc or clang, and the emulation on the host
// elsewhere. Launches go through launch(), never <<<>>>, so that one source serves both.
#pragma once

#include <algorithm>
#include <cstdint>

#include "cuda/gemm/tensor_map.h"
#include "cuda/runtime.h"

#if defined(__CUDACC__)
#include "cuda/nvcc.h"
#else
#include "cuda/emulation/device.h"
#endif

namespace dip::cuda {

constexpr int threads_per_block = 256;
constexpr std::int64_t most_blocks = 1 << 16;

__host__ __device__ constexpr int divide_up(int a, int b) {
  return (a + b - 1) / b;
}

// Whether an address is a multiple of 16 bytes, as it must be where so many are moved at once.
__host__ __device__ inline bool is_octet_aligned(const void* address) {
  return reinterpret_cast<std::uintptr_t>(address) % 16 == 0;
}

// The first element of this thread in a loop over all elements, and the distance to its next.
__device__ inline std::int64_t first_element() {
  return static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}
__device__ inline std::int64_t element_step() {
  return static_cast<std::int64_t>(gridDim.x) * blockDim.x;
}

// Deals with the elements first, first + step, … below `end`: `read(i)` takes from memory what element i needs,
// `write(i, that)` computes and stores. Four are read before the first is dealt with, so that a thread does not wait
// for each.
template <class Index, class Read, class Write>
__device__ void stream_elements(Index first, Index end, Index step, const Read& read, const Write& write) {
  constexpr int together = 4;
  Index i = first;
  for (; i + (together - 1) * step < end; i += together * step) {
    decltype(read(i)) taken[together];
#pragma unroll
    for (int k = 0; k < together; ++k) taken[k] = read(i + k * step);
#pragma unroll
    for (int k = 0; k < together; ++k) write(i + k * step, taken[k]);
  }
  for (; i < end; i += step) write(i, read(i));
}

// Over all elements.
template <class Read, class Write>
__device__ void stream_elements(std::int64_t count, const Read& read, const Write& write) {
  stream_elements(first_element(), count, element_step(), read, write);
}

// Memory for one operator.
template <class T>
class DeviceScratch {
 public:
  explicit DeviceScratch(std::int64_t count) : memory_(static_cast<std::size_t>(count) * sizeof(T)) {}
  T* data() const { return static_cast<T*>(memory_.data()); }

 private:
  DeviceMemory memory_;
};

template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), unsigned blocks, unsigned threads, Arguments... arguments) {
  launch(kernel, Grid{blocks, 1, 1}, threads, std::size_t{0}, arguments...);
}

// Launches `kernel` over `count` elements, one a thread as far as the grid reaches.
template <class... Parameters, class... Arguments>
void launch_elements(void (*kernel)(Parameters...), std::int64_t count, Arguments... arguments) {
  if (count <= 0) return;
  const std::int64_t blocks = (count + threads_per_block - 1) / threads_per_block;
  launch(kernel, static_cast<unsigned>(blocks < most_blocks ? blocks : most_blocks), threads_per_block, arguments...);
}

// The same for kernels that stream_elements: four elements a thread, where that leaves enough threads.
template <class... Parameters, class... Arguments>
void launch_stream(void (*kernel)(Parameters...), std::int64_t count, Arguments... arguments) {
  const std::int64_t enough = std::int64_t{2048} * multiprocessors();
  launch_elements(kernel, std::min(count, std::max(enough, (count + 3) / 4)), arguments...);
}

}  // namespace dip::cuda
