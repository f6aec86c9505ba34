// The device layer on the host: the same .cu sources, compiled as C++, with a block's threads as fibers.
//
// What it catches: two threads that use the same shared memory with no barrier between, one of them changing it; what
// an asynchronous copy or the copy unit brings, read before it was waited for, or written over what is still needed;
// operands of a warpgroup's product that no fence was put behind, and its sums, used before it was waited for; barriers
// that not all threads reach, and phases that never end; accesses outside a shared array and, under AddressSanitizer,
// outside any other. What it cannot: races between blocks, and anything about speed.
#pragma once

#include <cmath>
#include <cstring>
#include <type_traits>

#include "cuda/bfloat_rounding.h"
#include "cuda/emulation/fibers.h"

#define __global__
#define __device__
#define DIP_RARE
#if defined(DIP_COUNTERS)
// So that clang reports one access and not one for each member.
#define DIP_MOVED_WHOLE(Type, bytes)                                           \
  using Whole __attribute__((vector_size(bytes), may_alias)) = unsigned;       \
  Type() = default;                                                            \
  Type& operator=(const Type& other) {                                         \
    *reinterpret_cast<Whole*>(this) = *reinterpret_cast<const Whole*>(&other); \
    return *this;                                                              \
  }
#else
#define DIP_MOVED_WHOLE(Type, bytes)
#endif
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __grid_constant__

#define threadIdx dip::emulation::thread_index
#define blockIdx dip::emulation::block_index
#define blockDim dip::emulation::block_size
#define gridDim dip::emulation::grid_size
#define __syncthreads() dip::emulation::barrier()
#define __syncthreads_or(value) dip::emulation::barrier_or(value)
#define __threadfence_system() static_cast<void>(0)

// A static variable's address tells the declarations apart, in inline functions too.
#define DIP_SHARED_ARRAY(type, name, count)                                                 \
  static const char name##_place = 0;                                                       \
  auto* name##_array = dip::emulation::shared_array(&name##_place, sizeof(type) * (count)); \
  const dip::emulation::Shared<type> name(name##_array, reinterpret_cast<type*>(name##_array->bytes.data()))

namespace dip::cuda {

using Grid = emulation::Dim3;

using emulation::Shared;

template <class T, class U>
Shared<T> shared_cast(Shared<U> pointer) {
  return {pointer.array(), reinterpret_cast<T*>(pointer.address())};
}

template <class T>
Shared<T> dynamic_shared() {
  emulation::SharedArray* array = emulation::dynamic_shared();
  return {array, reinterpret_cast<T*>(array->bytes.data())};
}

DIP_SEEN inline int atomic_exchange(Shared<int> place, int value) {
  emulation::check_access(place.array(), place.address(), sizeof(int), emulation::Access::atomic);
  emulation::count_access(emulation::Memory::shared_atomic, place.address(), sizeof(int));
  if constexpr (emulation::counts) {
    int before;
    emulation::copy_unseen(&before, place.address(), sizeof before);
    emulation::copy_unseen(place.address(), &value, sizeof value);
    return before;
  }
  const int old = *place.address();
  *place.address() = value;
  return old;
}
inline int atomic_exchange(int* place, int value) {
  const int old = *place;
  *place = value;
  return old;
}

template <class T>
DIP_SEEN inline void read_four(Shared<T> from, T* to) {
  emulation::check_aligned(from.address(), 16);
  if constexpr (emulation::counts) {
    emulation::count_access(emulation::Memory::shared_load, from.address(), 16);
    emulation::copy_unseen(to, from.address(), 16);
  } else {
    for (int i = 0; i < 4; ++i) to[i] = from[i];
  }
}
DIP_SEEN inline void read_four(const int* from, int* to) {
  emulation::check_aligned(from, 16);
  if constexpr (emulation::counts) {
    emulation::count_access(emulation::Memory::global_load, from, 16);
    emulation::copy_unseen(to, from, 16);
  } else {
    for (int i = 0; i < 4; ++i) to[i] = from[i];
  }
}

DIP_SEEN inline void write_four(float* to, const float* from) {
  emulation::check_aligned(to, 16);
  if constexpr (emulation::counts) {
    emulation::count_access(emulation::Memory::global_store, to, 16);
    emulation::copy_unseen(to, from, 16);
  } else {
    for (int i = 0; i < 4; ++i) to[i] = from[i];
  }
}

inline int min(int a, int b) {
  return a < b ? a : b;
}
inline int max(int a, int b) {
  return a > b ? a : b;
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

inline std::uint16_t float_to_bfloat(float x) {
  return rounded_upper_half(__float_as_uint(x));
}

// Blocks run one after the other, and fibers change places at barriers only: every access is atomic.
inline int atomicExch_system(int* address, int value) {
  const int old = *address;
  *address = value;
  return old;
}

template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), Grid blocks, unsigned threads, std::size_t dynamic_shared_bytes,
            Arguments... arguments) {
  emulation::submit([=] {
    emulation::run_grid(
        blocks, {threads}, dynamic_shared_bytes, [&] { kernel(arguments...); }, reinterpret_cast<const void*>(kernel));
  });
}

inline void copy_async(Shared<float> to, const float* from, bool valid) {
  emulation::copy_async(to.array(), to.address(), from, sizeof(float), valid);
}
inline void copy_octet_async(Shared<std::uint16_t> to, const std::uint16_t* from, bool valid) {
  emulation::copy_async(to.array(), to.address(), from, 16, valid);
}
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
inline double shuffle_xor(double value, int mask) {
  float halves[2];
  std::memcpy(halves, &value, sizeof value);
  for (float& half : halves) half = shuffle_xor(half, mask);
  std::memcpy(&value, halves, sizeof value);
  return value;
}

}  // namespace dip::cuda

#include "cuda/emulation/tensor_cores.h"
