// The device layer under nvcc or clang: launches on the current stream, and what the hardware has beyond C++.
#pragma once

#include "core/device_error.h"

// Shared arrays are declared through a macro and handed on as Shared<T>, because the emulation watches their accesses.
#define DIP_SHARED_ARRAY(type, name, count) __shared__ type name[count]

namespace dip::cuda {

struct Grid {
  unsigned x = 1, y = 1, z = 1;
};

template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), Grid blocks, unsigned threads, std::size_t dynamic_shared_bytes,
            Arguments... arguments) {
  // Beyond what every kernel may use, a kernel has to ask.
  if (dynamic_shared_bytes > 48 << 10) {
    check_cuda(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel), cudaFuncAttributeMaxDynamicSharedMemorySize,
                                    static_cast<int>(dynamic_shared_bytes)),
               "shared memory of a kernel");
  }
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(blocks.x, blocks.y, blocks.z);
  config.blockDim = dim3(threads);
  config.dynamicSmemBytes = dynamic_shared_bytes;
  config.stream = current_stream();
  check_cuda(cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...), "kernel launch");
}

template <class T>
using Shared = T*;

// The same place, seen as elements of another type.
template <class T, class U>
__device__ Shared<T> shared_cast(Shared<U> pointer) {
  return reinterpret_cast<T*>(pointer);
}

// The shared memory whose size the launch gave.
template <class T>
__device__ Shared<T> dynamic_shared() {
  extern __shared__ __align__(16) char dip_dynamic_shared[];
  return reinterpret_cast<T*>(dip_dynamic_shared);
}

__device__ inline void atomic_min(Shared<int> to, int value) {
  atomicMin(to, value);
}

// Reads 16 bytes at once.
__device__ inline void read_four(const float* from, float* to) {
  const float4 four = *reinterpret_cast<const float4*>(from);
  to[0] = four.x;
  to[1] = four.y;
  to[2] = four.z;
  to[3] = four.w;
}

// Between float32 and the bits of a float16.
__device__ inline float half_to_float(std::uint16_t bits) {
  float x;
  asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(bits));
  return x;
}
__device__ inline std::uint16_t float_to_half(float x) {
  std::uint16_t bits;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(x));
  return bits;
}

// The value of the lane whose number differs in the bits of `mask`; all lanes of the warp must call it.
__device__ inline float shuffle_xor(float value, int mask) {
  return __shfl_xor_sync(0xffffffffu, value, mask);
}

// Asynchronous copies and TF32 came with compute capability 8.0. Before it copies are made at once, and launchers ask
// has_tf32() before they launch a kernel that multiplies in TF32.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
#define DIP_BEFORE_AMPERE 1
#else
#define DIP_BEFORE_AMPERE 0
#endif

// Starts to copy one float from global to shared memory, or to write a zero there.
__device__ inline void copy_async(Shared<float> shared, const float* global, bool valid) {
#if DIP_BEFORE_AMPERE
  *shared = valid ? *global : 0.0f;
#else
  const unsigned to = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(to), "l"(global), "r"(valid ? 4 : 0) : "memory");
#endif
}

// Closes this thread's group of started copies.
__device__ inline void copy_async_commit() {
#if !DIP_BEFORE_AMPERE
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

// Waits until no more than `pending` of this thread's groups are under way.
template <int pending>
__device__ inline void copy_async_wait() {
#if !DIP_BEFORE_AMPERE
  asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory");
#endif
}

// x rounded to the 11 significant bits of TF32.
__device__ inline float round_tf32(float x) {
#if DIP_BEFORE_AMPERE
  return x;
#else
  unsigned bits;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
  return __uint_as_float(bits);
#endif
}

// d += a·b on a tensor core, by the whole warp: a is 16 × 8, b 8 × 8, spread over the lanes as PTX's mma.m16n8k8 has
// it.
__device__ inline void multiply_tf32(float (&d)[4], const float (&a)[4], const float (&b)[2]) {
#if DIP_BEFORE_AMPERE
  __trap();
#else
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(__float_as_uint(a[0])), "r"(__float_as_uint(a[1])), "r"(__float_as_uint(a[2])), "r"(__float_as_uint(a[3])),
        "r"(__float_as_uint(b[0])), "r"(__float_as_uint(b[1])));
#endif
}

}  // namespace dip::cuda
