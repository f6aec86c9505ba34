// Real numbers on the GPU as they are stored: float16, bfloat16, float32.
#pragma once

#include "core/reals.h"
#include "cuda/device.h"

namespace dip::cuda {

struct Half {
  std::uint16_t bits;

  __device__ static Half round(float x) { return {float_to_half(x)}; }
  __device__ float widen() const { return half_to_float(bits); }
  __device__ static void multiply(float (&d)[4], const unsigned (&a)[4], const unsigned* b) { multiply_half(d, a, b); }
  template <bool a_across, bool b_across>
  __device__ static void multiply_group(WarpgroupSums& d, SharedMatrix a, SharedMatrix b) {
    multiply_group_half<a_across, b_across>(d, a, b);
  }
};

// The upper half of a float32.
struct Bfloat {
  std::uint16_t bits;

  __device__ static Bfloat round(float x) { return {float_to_bfloat(x)}; }
  __device__ float widen() const { return __uint_as_float(static_cast<unsigned>(bits) << 16); }
  __device__ static void multiply(float (&d)[4], const unsigned (&a)[4], const unsigned* b) {
    multiply_bfloat(d, a, b);
  }
  template <bool a_across, bool b_across>
  __device__ static void multiply_group(WarpgroupSums& d, SharedMatrix a, SharedMatrix b) {
    multiply_group_bfloat<a_across, b_across>(d, a, b);
  }
};

// float32 as one of such types.
struct Single {
  float value;

  __device__ static Single round(float x) { return {x}; }
  __device__ float widen() const { return value; }
};

// Calls run with a null pointer to the type of the numbers, for kernels that are compiled for each.
template <class Run>
void with_number(DType dtype, const Run& run) {
  switch (dtype) {
    case DType::float16: return run(static_cast<Half*>(nullptr));
    case DType::bfloat16: return run(static_cast<Bfloat*>(nullptr));
    default: return run(static_cast<Single*>(nullptr));
  }
}

__device__ inline float read(Reals x, std::int64_t i) {
  switch (x.dtype) {
    case DType::float16: return static_cast<const Half*>(x.data)[i].widen();
    case DType::bfloat16: return static_cast<const Bfloat*>(x.data)[i].widen();
    default: return static_cast<const float*>(x.data)[i];
  }
}

__device__ inline void write(RealResults y, std::int64_t i, float value) {
  switch (y.dtype) {
    case DType::float16: static_cast<Half*>(y.data)[i] = Half::round(value); break;
    case DType::bfloat16: static_cast<Bfloat*>(y.data)[i] = Bfloat::round(value); break;
    default: static_cast<float*>(y.data)[i] = value;
  }
}

// Four numbers side by side, moved at once.
struct alignas(16) Four {
  float at[4];
  DIP_MOVED_WHOLE(Four, 16)
};
struct alignas(8) HalfFour {
  std::uint16_t at[4];
};

// Writes numbers 2·i and 2·i + 1, where the array begins at a multiple of two numbers' bytes.
__device__ inline void write_two(RealResults y, std::int64_t i, float first, float second) {
  struct alignas(8) Two {
    float at[2];
  };
  struct alignas(4) HalfTwo {
    std::uint16_t at[2];
  };
  switch (y.dtype) {
    case DType::float16:
      static_cast<HalfTwo*>(y.data)[i] = {{Half::round(first).bits, Half::round(second).bits}};
      break;
    case DType::bfloat16:
      static_cast<HalfTwo*>(y.data)[i] = {{Bfloat::round(first).bits, Bfloat::round(second).bits}};
      break;
    default: static_cast<Two*>(y.data)[i] = {{first, second}};
  }
}

// Whether four numbers of an array can be moved at once.
inline bool moves_fours(const void* data, DType dtype) {
  const std::uintptr_t bytes = dtype == DType::float32 ? sizeof(Four) : sizeof(HalfFour);
  return reinterpret_cast<std::uintptr_t>(data) % bytes == 0;
}

// Numbers 4·i to 4·i + 3.
__device__ inline Four read_four(Reals x, std::int64_t i) {
  Four four;
  if (x.dtype == DType::float32) {
    four = static_cast<const Four*>(x.data)[i];
    return four;
  }
  const HalfFour bits = static_cast<const HalfFour*>(x.data)[i];
#pragma unroll
  for (int k = 0; k < 4; ++k) {
    four.at[k] = x.dtype == DType::float16 ? Half{bits.at[k]}.widen() : Bfloat{bits.at[k]}.widen();
  }
  return four;
}

__device__ inline void write_four(RealResults y, std::int64_t i, const Four& four) {
  if (y.dtype == DType::float32) {
    static_cast<Four*>(y.data)[i] = four;
    return;
  }
  HalfFour bits;
#pragma unroll
  for (int k = 0; k < 4; ++k) {
    bits.at[k] = y.dtype == DType::float16 ? Half::round(four.at[k]).bits : Bfloat::round(four.at[k]).bits;
  }
  static_cast<HalfFour*>(y.data)[i] = bits;
}

// Eight numbers side by side, moved at once; its address is a multiple of 16.
struct alignas(16) Octet {
  unsigned words[4];
  DIP_MOVED_WHOLE(Octet, 16)
};
constexpr int octet = 8;

}  // namespace dip::cuda
