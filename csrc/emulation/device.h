// The device layer on the host: the same .cu sources, compiled as C++, with a block's threads as fibers.
//
// What it catches: two threads that use the same shared memory with no barrier between, one of them changing it; what
// an asynchronous copy or the copy unit brings, read before it was waited for, or written over what is still needed;
// operands of a warpgroup's product that no fence was put behind, and its sums, used before it was waited for; barriers
// that not all threads reach, and phases that never end; accesses outside a shared array and, under AddressSanitizer,
// outside any other. What it cannot: races between blocks, and anything about speed.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <type_traits>
#include <vector>

#include "core/tensor_map.h"
#include "emulation/counter.h"

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

namespace dip::emulation {

struct Dim3 {
  unsigned x = 1, y = 1, z = 1;
};

extern thread_local Dim3 thread_index, block_index, block_size, grid_size;

// Runs `body` once for each thread of each block. `kernel` is the function's address, for counters.
void run_grid(Dim3 grid, Dim3 block, std::size_t dynamic_shared_bytes, const std::function<void()>& body,
              const void* kernel);

// Does `work` now, or records it where a graph is captured.
void submit(std::function<void()> work);

// False: work is dropped, to time what a call does besides.
void set_launches(bool on);

// How many the emulated device says it has: plans depend on it.
void set_multiprocessors(int count);

// The order in which the fibers of a block run is drawn anew from `seed` at every barrier.
void set_seed(std::uint64_t seed);

void barrier();

// True for all threads of the block where `value` is for any.
bool barrier_or(bool value);

// Waits for the 32 threads of this one's warp.
void warp_barrier();

// Memory of this thread's warp for exchanges between two warp barriers.
float* warp_memory();

// An array in the memory of a block, with what happened to each of its words since the last barrier.
struct SharedArray {
  struct Word {
    int written_at = -1, read_at = -1, atomic_at = -1;  // numbers of barriers
    int writer = -1, reader = -1;                       // threads; reader -2: several
    int fences = 0;                                     // that the writer had made
  };
  std::vector<char> bytes;
  std::vector<Word> words;
};

// The block's array declared at `place`: made for its first thread, filled with 0xff bytes.
SharedArray* shared_array(const void* place, std::size_t bytes);
SharedArray* dynamic_shared();

enum class Access { read, write, atomic };

// Throws where the access is outside the array, or where another thread used the same words since the last barrier and
// one of the two changed them: then nothing orders them.
void check_access(SharedArray* array, const void* address, std::size_t bytes, Access access);

// Throws where the address is no multiple of `bytes`, as accesses of so many bytes at once must be.
void check_aligned(const void* address, std::size_t bytes);

// A pointer into shared memory that checks every access.
template <class T>
class Shared {
 public:
  class Reference {
    // Of structures the compiler's hooks see which members are used.
    static constexpr bool is_counted = counts && std::is_arithmetic_v<T>;

   public:
    Reference(SharedArray* array, T* address) : array_(array), address_(address) {}
    DIP_SEEN operator T() const {
      check_access(array_, address_, sizeof(T), Access::read);
      if constexpr (!is_counted) return *address_;
      T value;
      count_access(Memory::shared_load, address_, sizeof(T));
      copy_unseen(&value, address_, sizeof(T));
      return value;
    }
    DIP_SEEN Reference& operator=(const T& value) {
      check_access(array_, address_, sizeof(T), Access::write);
      if constexpr (is_counted) {
        count_access(Memory::shared_store, address_, sizeof(T));
        copy_unseen(address_, &value, sizeof(T));
      } else {
        *address_ = value;
      }
      return *this;
    }
    DIP_SEEN Reference& operator=(const Reference& other) { return *this = static_cast<T>(other); }
    DIP_SEEN Reference& operator+=(const T& value) { return *this = static_cast<T>(*this) + value; }

   private:
    SharedArray* array_;
    T* address_;
  };

  Shared(SharedArray* array, T* address) : array_(array), address_(address) {}
  Reference operator[](std::int64_t i) const { return {array_, address_ + i}; }
  Shared operator+(std::int64_t i) const { return {array_, address_ + i}; }
  SharedArray* array() const { return array_; }
  T* address() const { return address_; }

 private:
  SharedArray* array_;
  T* address_;
};

// Copies of one thread, of `bytes` up to 16 each, that arrive when they are waited for, and not before.
void copy_async(SharedArray* array, void* to, const void* from, std::size_t bytes, bool valid);
void copy_async_commit();
void copy_async_wait(int pending);

// A descriptor of wgmma, and the array that its addresses are in.
struct SharedMatrix {
  SharedArray* array;
  std::uint64_t descriptor;
};

// What this thread wrote to shared memory is there for the products of warpgroups after the next barrier.
void fence_shared_matrices();

using WarpgroupSums = float[16][4];

// What a warpgroup multiplies: numbers of so many bytes, and their values.
struct NumberFormat {
  int bytes;
  float (*read)(const char* from);
};

// Products of the 128 threads of a warpgroup, each of which gives its part of the sums. They happen when their group is
// waited for, and not before.
void begin_products();
void multiply_group(WarpgroupSums& sums, SharedMatrix a, bool a_across, SharedMatrix b, bool b_across,
                    NumberFormat format);
void commit_products();
void wait_for_products(int pending);

// Waits for the first `threads` of the block.
void barrier_of(int threads);

using PhaseBarrier = std::uint64_t;
void set_up(Shared<PhaseBarrier> barrier, int arrivals);
void arrive(Shared<PhaseBarrier> barrier, int expected_bytes);
void wait_for_phase(Shared<PhaseBarrier> barrier, int parity);

// The copy unit: what it brings arrives some time after it was asked for. Until then there are 0xff bytes.
void copy_lines_async(Shared<std::uint16_t> to, const cuda::TensorMap& map, Shared<PhaseBarrier> barrier,
                      const std::array<int, 4>& from);
void copy_positions_async(Shared<std::uint16_t> to, const cuda::TensorMap& map, Shared<PhaseBarrier> barrier,
                          const std::array<int, 4>& from, const std::array<int, 2>& offset);

// Has the copy unit bring these.
void begin_delivery(Shared<std::uint16_t> to, std::vector<char> bytes, Shared<PhaseBarrier> barrier);

}  // namespace dip::emulation

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

inline float half_to_float(std::uint16_t bits) {
  const float magnitude = (bits & 0x7c00u) == 0 ? std::ldexp(static_cast<float>(bits & 0x3ffu), -24)  // subnormal
                                                : __uint_as_float((bits & 0x7fffu) << 13) * std::ldexp(1.0f, 112);
  const bool special = (bits & 0x7c00u) == 0x7c00u;  // infinity or NaN
  const float x = special ? __uint_as_float(0x7f800000u | (bits & 0x3ffu) << 13) : magnitude;
  return bits & 0x8000u ? -x : x;
}

// To the nearest, ties to even.
inline std::uint16_t float_to_half(float x) {
  const unsigned sign = __float_as_uint(x) >> 16 & 0x8000u;
  if (x != x) return 0x7fff;
  const float magnitude = std::fabs(x);
  if (magnitude >= 65520.0f) return static_cast<std::uint16_t>(sign | 0x7c00u);
  // The spacing of halves near x; nearbyint rounds ties to even.
  const int exponent = magnitude < std::ldexp(1.0f, -14) ? -14 : std::ilogb(magnitude);
  const int steps = static_cast<int>(std::nearbyint(std::ldexp(magnitude, 10 - exponent)));
  // The carry of a mantissa that rounds up goes into the exponent by itself.
  return static_cast<std::uint16_t>(sign | static_cast<unsigned>(steps + ((exponent + 14) << 10)));
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

// To the nearest of the 11-bit numbers, ties away from zero; infinities and NaN stay.
inline float round_tf32(float x) {
  if (!(std::fabs(x) <= 3.4028235e38f)) return x;
  return __uint_as_float((__float_as_uint(x) + 0x1000u) & 0xffffe000u);
}

// Cut off to 11 bits, as the hardware does with bits it was not to be given.
inline float tf32_to_float(unsigned bits) {
  return __uint_as_float(bits & 0xffffe000u);
}

// Tensor cores add exact products and cut the sum off, towards zero.
inline float toward_zero(double sum) {
  const float nearest = static_cast<float>(sum);
  const bool beyond = std::fabs(static_cast<double>(nearest)) > std::fabs(sum) && std::isfinite(nearest);
  return beyond ? std::nextafter(nearest, 0.0f) : nearest;
}

// This lane's part of d += a·b, which the warp has written down: d is 16 × 8, and lane 4·g + t has (g, 2t), (g, 2t +
// 1), and 8 rows below.
inline void add_product(float (&d)[4], const float* a, const float* b, int depth) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  for (int part = 0; part < 4; ++part) {
    const int row = lane / 4 + 8 * (part / 2), column = 2 * (lane % 4) + part % 2;
    double sum = d[part];
    for (int k = 0; k < depth; ++k) sum += static_cast<double>(a[row * depth + k]) * b[k * 8 + column];
    d[part] = toward_zero(sum);
  }
}

// As PTX defines mma.m16n8k8 for tf32: the lanes' shares of a and b, of which lane 4·g + t holds
//   a: (g, t), (g + 8, t), (g, t + 4), (g + 8, t + 4)   b: (t, g), (t + 4, g)
inline void multiply_tf32(float (&d)[4], const unsigned (&a)[4], const unsigned* b) {
  float *all_a = emulation::warp_memory(), *all_b = all_a + 16 * 8;
  const int lane = static_cast<int>(threadIdx.x) % 32, g = lane / 4, t = lane % 4;
  for (int part = 0; part < 4; ++part) all_a[(g + 8 * (part % 2)) * 8 + t + 4 * (part / 2)] = tf32_to_float(a[part]);
  for (int part = 0; part < 2; ++part) all_b[(t + 4 * part) * 8 + g] = tf32_to_float(b[part]);
  emulation::warp_barrier();
  add_product(d, all_a, all_b, 8);
}

// As PTX defines ldmatrix.m8n8.x4.
template <bool transposed>
DIP_SEEN inline void load_matrices(Shared<std::uint16_t> row, unsigned (&to)[4]) {
  emulation::check_aligned(row.address(), 16);
  auto* all = reinterpret_cast<std::uint16_t*>(emulation::warp_memory());  // [matrix][row][column]
  const int lane = static_cast<int>(threadIdx.x) % 32, g = lane / 4, t = lane % 4;
  if constexpr (emulation::counts) {
    emulation::count_access(emulation::Memory::shared_load, row.address(), 16);
    emulation::copy_unseen(all + lane * 8, row.address(), 16);
  } else {
    for (int column = 0; column < 8; ++column) all[lane * 8 + column] = row[column];
  }
  emulation::warp_barrier();
  for (int matrix = 0; matrix < 4; ++matrix) {
    const std::uint16_t* from = all + matrix * 64;
    const unsigned low = from[transposed ? 2 * t * 8 + g : g * 8 + 2 * t];
    const unsigned high = from[transposed ? (2 * t + 1) * 8 + g : g * 8 + 2 * t + 1];
    to[matrix] = low | high << 16;
  }
}

// As PTX defines mma.m16n8k16: of the words, two neighbours of the depth each, lane 4·g + t holds
//   a: (g, 2t), (g + 8, 2t), (g, 2t + 8), (g + 8, 2t + 8)   b: (2t, g), (2t + 8, g)
template <class Widen>
void multiply_16_bits(float (&d)[4], const unsigned (&a)[4], const unsigned* b, const Widen& widen) {
  float *all_a = emulation::warp_memory(), *all_b = all_a + 16 * 16;
  const int lane = static_cast<int>(threadIdx.x) % 32, g = lane / 4, t = lane % 4;
  for (int half = 0; half < 2; ++half) {
    const auto number = [&](unsigned word) { return widen(static_cast<std::uint16_t>(word >> 16 * half)); };
    for (int part = 0; part < 4; ++part) {
      all_a[(g + 8 * (part % 2)) * 16 + 2 * t + 8 * (part / 2) + half] = number(a[part]);
    }
    for (int part = 0; part < 2; ++part) all_b[(2 * t + 8 * part + half) * 8 + g] = number(b[part]);
  }
  emulation::warp_barrier();
  add_product(d, all_a, all_b, 16);
}
inline float bfloat_to_float(std::uint16_t bits) {
  return __uint_as_float(static_cast<unsigned>(bits) << 16);
}
inline void multiply_half(float (&d)[4], const unsigned (&a)[4], const unsigned* b) {
  multiply_16_bits(d, a, b, half_to_float);
}
inline void multiply_bfloat(float (&d)[4], const unsigned (&a)[4], const unsigned* b) {
  multiply_16_bits(d, a, b, bfloat_to_float);
}

constexpr bool compiled_for_warpgroups = true;
using emulation::fence_shared_matrices;
using emulation::SharedMatrix;
using emulation::WarpgroupSums;

// As PTX lays a descriptor out; addresses count from the start of the array, which on a GPU lies at a multiple of 1024.
inline SharedMatrix shared_matrix(Shared<std::uint16_t> first, unsigned leading, unsigned stride) {
  const auto start = reinterpret_cast<const char*>(first.address()) - first.array()->bytes.data();
  emulation::check_aligned(reinterpret_cast<const void*>(start | leading | stride), 16);
  const auto field = [](std::uint64_t bytes, int bit) { return (bytes >> 4 & 0x3fff) << bit; };
  return {first.array(), std::uint64_t{1} << 62 | field(stride, 32) | field(leading, 16) |
                             field(static_cast<std::uint64_t>(start), 0)};
}

inline void begin_products(WarpgroupSums&) {
  emulation::begin_products();
}
using emulation::commit_products;
template <int pending>
void wait_for_products(WarpgroupSums&) {
  emulation::wait_for_products(pending);
}
// Bits, and what they stand for.
template <class Bits, float (*widen)(Bits)>
constexpr emulation::NumberFormat number_format = {sizeof(Bits), [](const char* from) {
                                                     Bits bits;
                                                     std::memcpy(&bits, from, sizeof bits);
                                                     return widen(bits);
                                                   }};

template <bool a_across, bool b_across>
void multiply_group_half(WarpgroupSums& d, SharedMatrix a, SharedMatrix b) {
  emulation::multiply_group(d, a, a_across, b, b_across, number_format<std::uint16_t, half_to_float>);
}
template <bool a_across, bool b_across>
void multiply_group_bfloat(WarpgroupSums& d, SharedMatrix a, SharedMatrix b) {
  emulation::multiply_group(d, a, a_across, b, b_across, number_format<std::uint16_t, bfloat_to_float>);
}
template <bool a_across, bool b_across>
void multiply_group_tf32(WarpgroupSums& d, SharedMatrix a, SharedMatrix b) {
  static_assert(!a_across && !b_across, "matrices of TF32 are not transposed");
  emulation::multiply_group(d, a, a_across, b, b_across, number_format<unsigned, tf32_to_float>);
}

template <int registers>
void give_registers_back() {}
template <int registers>
void take_registers() {}

template <int threads>
void barrier_of() {
  emulation::barrier_of(threads);
}

using emulation::PhaseBarrier;
using emulation::set_up;
using emulation::wait_for_phase;

inline void fence_phase_barriers() {}
inline void arrive(Shared<PhaseBarrier> barrier) {
  emulation::arrive(barrier, 0);
}
inline void arrive_and_expect(Shared<PhaseBarrier> barrier, int bytes) {
  emulation::arrive(barrier, bytes);
}
inline void copy_lines_async(Shared<std::uint16_t> to, const TensorMap& map, Shared<PhaseBarrier> barrier, int i0,
                             int i1, int i2, int i3) {
  emulation::copy_lines_async(to, map, barrier, {i0, i1, i2, i3});
}
inline void copy_positions_async(Shared<std::uint16_t> to, const TensorMap& map, Shared<PhaseBarrier> barrier,
                                 int channel, int w, int h, int image, int offset_w, int offset_h) {
  emulation::copy_positions_async(to, map, barrier, {channel, w, h, image}, {offset_w, offset_h});
}

}  // namespace dip::cuda
