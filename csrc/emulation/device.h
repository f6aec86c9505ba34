// The device layer on the host: the same .cu sources, compiled as C++, with a block's threads as fibers.
//
// What it catches: a thread that reads what another wrote without a barrier between (the fibers run in shuffled orders
// over shared memory that starts out as NaN), barriers that not all threads reach, and, under AddressSanitizer,
// accesses outside an array. What it cannot: races between blocks, and anything about speed.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <stdexcept>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)

namespace dip::emulation {

struct Dim3 {
  unsigned x = 1, y = 1, z = 1;
};

extern thread_local Dim3 thread_index, block_index, block_size, grid_size;

// Runs `body` once for each thread of each block.
void run_grid(Dim3 grid, Dim3 block, const std::function<void()>& body);

// The order in which the fibers of a block run is drawn anew from `seed` at every barrier.
void set_seed(std::uint64_t seed);

void barrier();

// The block's array number `slot`: allocated for its first thread, filled with 0xff bytes.
void* shared_array(int slot, std::size_t bytes);

}  // namespace dip::emulation

#define threadIdx dip::emulation::thread_index
#define blockIdx dip::emulation::block_index
#define blockDim dip::emulation::block_size
#define gridDim dip::emulation::grid_size
#define __syncthreads() dip::emulation::barrier()

#define DIP_SHARED_ARRAY(type, name, count) \
  type* name = static_cast<type*>(dip::emulation::shared_array(__COUNTER__, sizeof(type) * (count)))

namespace dip::cuda {

inline long long atomicMin(long long* address, long long value) {
  const long long old = *address;
  if (value < old) *address = value;
  return old;
}

template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), unsigned blocks, unsigned threads, Arguments... arguments) {
  emulation::run_grid({blocks}, {threads}, [&] { kernel(arguments...); });
}

template <class T>
class DeviceScratch {
 public:
  explicit DeviceScratch(std::size_t count) : data_(static_cast<T*>(std::malloc(count * sizeof(T)))) {
    std::memset(static_cast<void*>(data_), 0xff, count * sizeof(T));
  }
  DeviceScratch(const DeviceScratch&) = delete;
  DeviceScratch& operator=(const DeviceScratch&) = delete;
  ~DeviceScratch() { std::free(data_); }

  T* data() const { return data_; }

 private:
  T* data_;
};

template <class T>
void copy_to_device(T* to, const T* from, std::size_t count) {
  std::memcpy(to, from, count * sizeof(T));
}

template <class T>
void copy_to_host(T* to, const T* from, std::size_t count) {
  std::memcpy(to, from, count * sizeof(T));
}

}  // namespace dip::cuda
