// The device layer on the host: the same .cu sources, compiled as C++, with a block's threads as fibers.
//
// What it catches: a thread that reads what another wrote without a barrier between (the fibers run in shuffled orders
// over shared memory that starts out as NaN), what an asynchronous copy brings read before it was waited for, barriers
// that not all threads reach, and, under AddressSanitizer, accesses outside an array. What it cannot: races between
// blocks, and anything about speed.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
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
void run_grid(Dim3 grid, Dim3 block, std::size_t dynamic_shared_bytes, const std::function<void()>& body);

// Does `work` now, or records it where a graph is captured.
void submit(std::function<void()> work);

// The order in which the fibers of a block run is drawn anew from `seed` at every barrier.
void set_seed(std::uint64_t seed);

void barrier();

// True for all threads of the block where `value` is for any.
bool barrier_or(bool value);

// Waits for the 32 threads of this one's warp.
void warp_barrier();

// Memory of this thread's warp for exchanges between two warp barriers.
float* warp_memory();

// The block's array declared at `place`: allocated for its first thread, filled with 0xff bytes.
void* shared_array(const void* place, std::size_t bytes);
void* dynamic_shared();

// Copies of one thread that arrive when they are waited for, and not before.
void copy_async(float* to, const float* from, bool valid);
void copy_async_commit();
void copy_async_wait(int pending);

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

using Grid = emulation::Dim3;

struct alignas(16) float4 {
  float x, y, z, w;
};

inline int min(int a, int b) {
  return a < b ? a : b;
}

inline unsigned __float_as_uint(float x) {
  unsigned bits;
  std::memcpy(&bits, &x, 4);
  return bits;
}

inline float __uint_as_float(unsigned bits) {
  float x;
  std::memcpy(&x, &bits, 4);
  return x;
}

// Blocks run one after the other, and fibers change places at barriers only: every access is atomic.
inline int atomicExch_system(int* address, int value) {
  const int old = *address;
  *address = value;
  return old;
}

inline int atomicMin(int* address, int value) {
  const int old = *address;
  if (value < old) *address = value;
  return old;
}

template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), Grid blocks, unsigned threads, std::size_t dynamic_shared_bytes,
            Arguments... arguments) {
  emulation::submit(
      [=] { emulation::run_grid(blocks, {threads}, dynamic_shared_bytes, [&] { kernel(arguments...); }); });
}

inline char* dynamic_shared() {
  return static_cast<char*>(emulation::dynamic_shared());
}

using emulation::copy_async;
using emulation::copy_async_commit;

template <int pending>
void copy_async_wait() {
  emulation::copy_async_wait(pending);
}

inline float shuffle_xor(float value, int mask) {
  float* values = emulation::warp_memory();
  const int lane = static_cast<int>(threadIdx.x) % 32;
  values[lane] = value;
  emulation::warp_barrier();
  return values[lane ^ mask];
}

// To the nearest of the 11-bit numbers, ties away from zero; infinities and NaN stay.
inline float round_tf32(float x) {
  if (!(std::fabs(x) <= 3.4028235e38f)) return x;
  return __uint_as_float((__float_as_uint(x) + 0x1000u) & 0xffffe000u);
}

// As PTX defines mma.m16n8k8 for tf32: the lanes' shares of a, b and d, of which lane 4·g + t holds
//   a: (g, t), (g + 8, t), (g, t + 4), (g + 8, t + 4)   b: (t, g), (t + 4, g)   d: (g, 2t), (g, 2t + 1), and 8 rows
//   below.
// Operands are cut off to 11 bits, as the hardware does with bits it was not to be given.
inline void multiply_tf32(float (&d)[4], const float (&a)[4], const float (&b)[2]) {
  float *all_a = emulation::warp_memory(), *all_b = all_a + 16 * 8;
  const int lane = static_cast<int>(threadIdx.x) % 32, g = lane / 4, t = lane % 4;
  const auto cut = [](float x) { return __uint_as_float(__float_as_uint(x) & 0xffffe000u); };
  for (int part = 0; part < 4; ++part) all_a[(g + 8 * (part % 2)) * 8 + t + 4 * (part / 2)] = cut(a[part]);
  for (int part = 0; part < 2; ++part) all_b[(t + 4 * part) * 8 + g] = cut(b[part]);
  emulation::warp_barrier();
  for (int part = 0; part < 4; ++part) {
    const int row = g + 8 * (part / 2), column = 2 * t + part % 2;
    for (int k = 0; k < 8; ++k) d[part] = std::fma(all_a[row * 8 + k], all_b[k * 8 + column], d[part]);
  }
}

}  // namespace dip::cuda
