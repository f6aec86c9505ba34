// The two kinds of real numbers of 16 bits, on the GPU: float16 and bfloat16.
#pragma once

#include "core/device.h"
#include "core/reals.h"

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

  // A NaN stays one, also where its upper half alone would be an infinity.
  __device__ static Bfloat round(float x) {
    const unsigned all = __float_as_uint(x);
    const unsigned rounded = x == x ? all + 0x7fffu + (all >> 16 & 1u) : all | 0x400000u;
    return {static_cast<std::uint16_t>(rounded >> 16)};
  }
  __device__ float widen() const { return __uint_as_float(static_cast<unsigned>(bits) << 16); }
  __device__ static void multiply(float (&d)[4], const unsigned (&a)[4], const unsigned* b) {
    multiply_bfloat(d, a, b);
  }
  template <bool a_across, bool b_across>
  __device__ static void multiply_group(WarpgroupSums& d, SharedMatrix a, SharedMatrix b) {
    multiply_group_bfloat<a_across, b_across>(d, a, b);
  }
};

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

// Eight numbers side by side, moved at once; its address is a multiple of 16.
struct alignas(16) Octet {
  unsigned words[4];
};
constexpr int octet = 8;

}  // namespace dip::cuda
