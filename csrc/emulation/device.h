// The device layer on the host: the same .cu sources, compiled as C++, with a block's threads as fibers.
//
// What it catches: a thread that reads what another wrote without a barrier between (the fibers run in shuffled orders
// over shared memory that starts out as NaN), barriers that not all threads reach, and, under AddressSanitizer,
// accesses outside an array. What it cannot: races between blocks, and anything about speed.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
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

// Does `work` now, or records it where a graph is captured.
void submit(std::function<void()> work);

// The order in which the fibers of a block run is drawn anew from `seed` at every barrier.
void set_seed(std::uint64_t seed);

void barrier();

// The block's array declared at `place`: allocated for its first thread, filled with 0xff bytes.
void* shared_array(const void* place, std::size_t bytes);

// True for all threads of the block where `value` is for any.
bool barrier_or(bool value);

}  // namespace dip::emulation

#define threadIdx dip::emulation::thread_index
#define blockIdx dip::emulation::block_index
#define blockDim dip::emulation::block_size
#define gridDim dip::emulation::grid_size
#define __syncthreads() dip::emulation::barrier()
#define __syncthreads_or(value) dip::emulation::barrier_or(value)
#define __threadfence_system() static_cast<void>(0)

// A static variable's address tells the declarations apart, in inline functions too.
#define DIP_SHARED_ARRAY(type, name, count) \
  static const char name##_place = 0;       \
  type* name = static_cast<type*>(dip::emulation::shared_array(&name##_place, sizeof(type) * (count)))

namespace dip::cuda {

// Blocks run one after the other, and fibers change places at barriers only: every access is atomic.
inline int atomicExch_system(int* address, int value) {
  const int old = *address;
  *address = value;
  return old;
}

template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), unsigned blocks, unsigned threads, Arguments... arguments) {
  emulation::submit([=] { emulation::run_grid({blocks}, {threads}, [&] { kernel(arguments...); }); });
}

}  // namespace dip::cuda
