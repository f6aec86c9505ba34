// The device layer under nvcc or clang: launches on the current stream, and what the hardware has beyond C++.
#pragma once

#include "cuda/bfloat_rounding.h"
#include "cuda/error.h"

// Shared arrays are declared through a macro and handed on as Shared<T>, because the emulation watches their accesses.
#define DIP_SHARED_ARRAY(type, name, count) __shared__ type name[count]

// Of a structure that is loaded and stored at once: nvcc does so by itself.
#define DIP_MOVED_WHOLE(Type, bytes)

// Of a function that is hardly ever called: it costs its callers no registers.
#define DIP_RARE __noinline__

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

// As instructions want it.
__device__ inline unsigned shared_address(const void* pointer) {
  return static_cast<unsigned>(__cvta_generic_to_shared(pointer));
}

// The shared memory whose size the launch gave, at a multiple of 1024 bytes.
template <class T>
__device__ Shared<T> dynamic_shared() {
  extern __shared__ __align__(1024) char dip_dynamic_shared[];
  return reinterpret_cast<T*>(dip_dynamic_shared);
}

// Puts a value in the place of another, which it returns.
__device__ inline int atomic_exchange(int* place, int value) {
  return atomicExch(place, value);
}

// Reads 16 bytes at once.
__device__ inline void read_four(const float* from, float* to) {
  const float4 four = *reinterpret_cast<const float4*>(from);
  to[0] = four.x;
  to[1] = four.y;
  to[2] = four.z;
  to[3] = four.w;
}

__device__ inline void read_four(const int* from, int* to) {
  const int4 four = *reinterpret_cast<const int4*>(from);
  to[0] = four.x;
  to[1] = four.y;
  to[2] = four.z;
  to[3] = four.w;
}

__device__ inline void write_four(float* to, const float* from) {
  *reinterpret_cast<float4*>(to) = make_float4(from[0], from[1], from[2], from[3]);
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
__device__ inline double shuffle_xor(double value, int mask) {
  return __shfl_xor_sync(0xffffffffu, value, mask);
}

// Asynchronous copies, TF32 and bfloat16 came with compute capability 8.0. Before it copies are made at once, and
// launchers ask has_tf32() before they launch a kernel that multiplies on tensor cores.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
#define DIP_BEFORE_AMPERE 1
#else
#define DIP_BEFORE_AMPERE 0
#endif

// The bits of a bfloat16.
__device__ inline std::uint16_t float_to_bfloat(float x) {
#if DIP_BEFORE_AMPERE
  return rounded_upper_half(__float_as_uint(x));
#else
  std::uint16_t bits;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(x));
  return bits;
#endif
}

// Starts to copy one float from global to shared memory, or to write a zero there.
__device__ inline void copy_async(Shared<float> shared, const float* global, bool valid) {
#if DIP_BEFORE_AMPERE
  *shared = valid ? *global : 0.0f;
#else
  const unsigned to = shared_address(shared);
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(to), "l"(global), "r"(valid ? 4 : 0) : "memory");
#endif
}

// Starts to copy eight numbers of 16 bits, both addresses multiples of 16 bytes, or to write zeros there.
__device__ inline void copy_octet_async(Shared<std::uint16_t> shared, const std::uint16_t* global, bool valid) {
#if DIP_BEFORE_AMPERE
  *reinterpret_cast<uint4*>(shared) = valid ? *reinterpret_cast<const uint4*>(global) : uint4{};
#else
  const unsigned to = shared_address(shared);
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(global), "r"(valid ? 16 : 0) : "memory");
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
__device__ inline void multiply_tf32(float (&d)[4], const unsigned (&a)[4], const unsigned* b) {
#if DIP_BEFORE_AMPERE
  __trap();
#else
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

// Four 8 × 8 matrices of 16-bit numbers from shared memory, by the whole warp: lane 8·m + r gives the address of row r
// of matrix m. Lane 4·g + t receives of each the numbers (g, 2t) and (g, 2t + 1), or of its transpose.
template <bool transposed>
__device__ inline void load_matrices(Shared<std::uint16_t> row, unsigned (&to)[4]) {
  const unsigned from = shared_address(row);
  if constexpr (transposed) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(from)
                 : "memory");
  } else {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(from)
                 : "memory");
  }
}

// d += a·b on a tensor core, by the whole warp: a is 16 × 16, b 16 × 8, spread over the lanes as PTX's mma.m16n8k16 has
// it, two neighbours of the depth in a word.
#if DIP_BEFORE_AMPERE
#define DIP_MULTIPLY_16_BITS(type) __trap()
#else
#define DIP_MULTIPLY_16_BITS(type)                                                    \
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32." type "." type                 \
               ".f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};" \
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])                       \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]))
#endif
__device__ inline void multiply_half(float (&d)[4], const unsigned (&a)[4], const unsigned* b) {
  DIP_MULTIPLY_16_BITS("f16");
}
__device__ inline void multiply_bfloat(float (&d)[4], const unsigned (&a)[4], const unsigned* b) {
  DIP_MULTIPLY_16_BITS("bf16");
}
#undef DIP_MULTIPLY_16_BITS

// Hopper's tensor cores read both operands from shared memory, for 128 threads at once, while the threads go on. Only
// code for the architecture 90a has the instructions, and launchers ask has_warpgroup_products().
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
constexpr bool compiled_for_warpgroups = true;
#else
constexpr bool compiled_for_warpgroups = false;
#endif

// A matrix in shared memory, as wgmma's descriptors have it: lines of 128 bytes, 64 numbers of 16 bits or 32 of TF32,
// whose octets of 16 bytes are permuted, octet o of line l being found at o ^ l % 8; eight lines are 1024 bytes. Either
// a line is a row and so many numbers of the depth, or a depth and so many rows. Groups of eight lines are `stride`
// bytes apart and, where the lines lie across the depth, the next 64 rows `leading` bytes.
using SharedMatrix = std::uint64_t;

__device__ inline SharedMatrix shared_matrix(Shared<std::uint16_t> first, unsigned leading, unsigned stride) {
  constexpr SharedMatrix lines_of_128_bytes = SharedMatrix{1} << 62;
  const SharedMatrix start = shared_address(first) >> 4 & 0x3fff;
  return lines_of_128_bytes | SharedMatrix{stride >> 4} << 32 | SharedMatrix{leading >> 4} << 16 | start;
}

// What this thread wrote to shared memory is there for warpgroup products after the next barrier.
__device__ inline void fence_shared_matrices() {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

// The sums of a warpgroup: 64 × 128, of which warp w has rows 16·w and up, in blocks of 16 × 8 as mma.m16n8k16 has
// them.
using WarpgroupSums = float[16][4];

#define DIP_SUMS_4(i) "+f"(d[i][0]), "+f"(d[i][1]), "+f"(d[i][2]), "+f"(d[i][3])
#define DIP_SUMS_16(i) DIP_SUMS_4(i), DIP_SUMS_4(i + 1), DIP_SUMS_4(i + 2), DIP_SUMS_4(i + 3)
#define DIP_SUMS DIP_SUMS_16(0), DIP_SUMS_16(4), DIP_SUMS_16(8), DIP_SUMS_16(12)

// Before the first product after the sums were touched.
__device__ inline void begin_products(WarpgroupSums& d) {
  asm volatile("wgmma.fence.sync.aligned;" : DIP_SUMS : : "memory");
}

// Closes the group of products that were started.
__device__ inline void commit_products() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}

// Waits until no more than `pending` groups are under way.
template <int pending>
__device__ inline void wait_for_products(WarpgroupSums& d) {
  asm volatile("wgmma.wait_group.sync.aligned %64;" : DIP_SUMS : "n"(pending) : "memory");
}

// Starts d += a·b, a 64 × 16 and b 16 × 128, or 64 × 8 and 8 × 128 of TF32; `across` where an operand's lines lie
// across the depth.
#define DIP_MULTIPLY_GROUP(shape_and_types, across)                                                                 \
  asm volatile(                                                                                                     \
      "{ .reg .pred add; setp.ne.b32 add, %66, 0;"                                                                  \
      " wgmma.mma_async.sync.aligned." shape_and_types                                                              \
      " {%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, " \
      "%23, %24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, "   \
      "%44, %45, %46, %47, %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63}, "       \
      "%64, %65, add, 1, 1" across "; }"                                                                            \
      : DIP_SUMS                                                                                                    \
      : "l"(a), "l"(b), "r"(1), "n"(a_across ? 1 : 0), "n"(b_across ? 1 : 0))
template <bool a_across, bool b_across>
__device__ inline void multiply_group_half(WarpgroupSums& d, SharedMatrix a, SharedMatrix b) {
  DIP_MULTIPLY_GROUP("m64n128k16.f32.f16.f16", ", %67, %68");
}
template <bool a_across, bool b_across>
__device__ inline void multiply_group_bfloat(WarpgroupSums& d, SharedMatrix a, SharedMatrix b) {
  DIP_MULTIPLY_GROUP("m64n128k16.f32.bf16.bf16", ", %67, %68");
}
template <bool a_across, bool b_across>
__device__ inline void multiply_group_tf32(WarpgroupSums& d, SharedMatrix a, SharedMatrix b) {
  static_assert(!a_across && !b_across, "matrices of TF32 are not transposed");
  DIP_MULTIPLY_GROUP("m64n128k8.f32.tf32.tf32", "");
}
#undef DIP_MULTIPLY_GROUP
#undef DIP_SUMS
#undef DIP_SUMS_16
#undef DIP_SUMS_4

// Of a block in which some warpgroups copy and others multiply: what they may use of the registers.
template <int registers>
__device__ inline void give_registers_back() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(registers));
}
template <int registers>
__device__ inline void take_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(registers));
}

// A barrier of the first `threads` of a block only.
template <int threads>
__device__ inline void barrier_of() {
  asm volatile("bar.sync 1, %0;" ::"n"(threads) : "memory");
}

// A barrier in shared memory, a multiple of 8 bytes. It has phases; each ends when so many arrivals were made and all
// bytes came that it was told to expect.
using PhaseBarrier = std::uint64_t;

__device__ inline void set_up(Shared<PhaseBarrier> barrier, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(arrivals) : "memory");
}

// After the next barrier of the block all that were set up are there, for the copy unit too.
__device__ inline void fence_phase_barriers() {
  asm volatile("fence.mbarrier_init.release.cluster;\n fence.proxy.async.shared::cta;" ::: "memory");
}

__device__ inline void arrive(Shared<PhaseBarrier> barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(barrier)) : "memory");
}

__device__ inline void arrive_and_expect(Shared<PhaseBarrier> barrier, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)), "r"(bytes)
               : "memory");
}

// Waits for the end of a phase: of the first, third, … where parity is 0, else of the second, fourth, … One before the
// first counts as over.
__device__ inline void wait_for_phase(Shared<PhaseBarrier> barrier, int parity) {
  asm volatile(
      "{ .reg .pred over; again: mbarrier.try_wait.parity.shared::cta.b64 over, [%0], %1; @!over bra again; }" ::"r"(
          shared_address(barrier)),
      "r"(parity)
      : "memory");
}

// Starts to copy a box to a multiple of 1024 bytes in shared memory, from these places along the axes on. The barrier
// gets the bytes.
__device__ inline void copy_lines_async(Shared<std::uint16_t> to, const TensorMap& map, Shared<PhaseBarrier> barrier,
                                        int i0, int i1, int i2, int i3) {
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5, %6}], "
      "[%2];" ::"r"(shared_address(to)),
      "l"(&map), "r"(shared_address(barrier)), "r"(i0), "r"(i1), "r"(i2), "r"(i3)
      : "memory");
}

// The same of positions of images; what is copied lies beyond them by the offsets.
__device__ inline void copy_positions_async(Shared<std::uint16_t> to, const TensorMap& map,
                                            Shared<PhaseBarrier> barrier, int channel, int w, int h, int image,
                                            int offset_w, int offset_h) {
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.im2col.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5, "
      "%6}], [%2], {%7, %8};" ::"r"(shared_address(to)),
      "l"(&map), "r"(shared_address(barrier)), "r"(channel), "r"(w), "r"(h), "r"(image),
      "h"(static_cast<std::uint16_t>(offset_w)), "h"(static_cast<std::uint16_t>(offset_h))
      : "memory");
}

}  // namespace dip::cuda
