// What the packed product multiplies: how numbers are packed, widened and multiplied on tensor cores.
#pragma once

#include "cuda/half.h"

namespace dip::cuda {

// How numbers are packed: 16 bits as they are stored, float32 rounded to TF32, or as a sum of bfloat16 numbers.
enum class PackedAs { stored, tf32, two_parts, three_parts };

// float32 as so many bfloat16 numbers. Two parts have 16 bits of a number and three all 24; the products that are left
// out are at most 2^-16 and 2^-24 of the whole.
template <int parts_>
struct SplitFloat {
  using Stored = float;
  using Part = std::uint16_t;
  static constexpr int parts = parts_, products = parts == 2 ? 3 : 6;
  static constexpr PackedAs packed_as = parts == 2 ? PackedAs::two_parts : PackedAs::three_parts;

  // Which parts of A and B meet, the small ones first.
  __device__ static constexpr int a_part(int product) {
    constexpr int all[] = {parts - 1, 0, parts - 2, 1, 0, 0};
    return all[product];
  }
  __device__ static constexpr int b_part(int product) {
    constexpr int all[] = {0, parts - 1, parts - 2, 0, 1, 0};
    return all[product];
  }
  __device__ static void multiply(float (&d)[4], const unsigned (&a)[4], const unsigned* b) {
    multiply_bfloat(d, a, b);
  }
  template <bool a_across, bool b_across>
  __device__ static void multiply_group(WarpgroupSums& d, SharedMatrix a, SharedMatrix b) {
    multiply_group_bfloat<a_across, b_across>(d, a, b);
  }
  __device__ static float round(float x) { return x; }
  __device__ static float widen(float x) { return x; }
  __device__ static void pack(float x, Part (&to)[parts]) {
    constexpr float largest = 3.4028235e38f;
    if (!(fabsf(x) <= largest)) {
      // ∞·0 would be NaN. The last part meets only the other operand's first, so x goes there and ±1 into part 0.
      for (int part = 0; part < parts; ++part) to[part] = 0;
      to[0] = Bfloat::round(x < 0.0f ? -1.0f : 1.0f).bits;
      to[parts - 1] = Bfloat::round(x).bits;
      return;
    }
    for (int part = 0; part < parts; ++part) {
      Bfloat rounded = Bfloat::round(x);
      // The largest numbers would round up to infinity: cut off.
      if (!(fabsf(rounded.widen()) <= largest)) rounded.bits = static_cast<std::uint16_t>(__float_as_uint(x) >> 16);
      to[part] = rounded.bits;
      x -= rounded.widen();
    }
  }
  // Back from its parts, which lie `distance` apart.
  __device__ static float unpack(const Part* at, std::int64_t distance) {
    float x = 0.0f;
    for (int part = parts - 1; part >= 0; --part) x += Bfloat{at[part * distance]}.widen();
    return x;
  }
};

// Multiplied as it is.
struct OnePart {
  static constexpr int parts = 1, products = 1;

  __device__ static constexpr int a_part(int) { return 0; }
  __device__ static constexpr int b_part(int) { return 0; }
};

// Half or Bfloat.
template <class Number>
struct AsStored : OnePart {
  using Stored = Number;
  using Part = std::uint16_t;
  static constexpr PackedAs packed_as = PackedAs::stored;

  __device__ static void multiply(float (&d)[4], const unsigned (&a)[4], const unsigned* b) {
    Number::multiply(d, a, b);
  }
  template <bool a_across, bool b_across>
  __device__ static void multiply_group(WarpgroupSums& d, SharedMatrix a, SharedMatrix b) {
    Number::template multiply_group<a_across, b_across>(d, a, b);
  }
  __device__ static Number round(float x) { return Number::round(x); }
  __device__ static float widen(Number x) { return x.widen(); }
  __device__ static void pack(Number x, Part (&to)[1]) { to[0] = x.bits; }
  __device__ static float unpack(const Part* at, std::int64_t) { return Number{*at}.widen(); }
};

// float32 rounded to 11 bits.
struct Tf32 : OnePart {
  using Stored = float;
  using Part = std::uint32_t;
  static constexpr PackedAs packed_as = PackedAs::tf32;

  __device__ static void multiply(float (&d)[4], const unsigned (&a)[4], const unsigned* b) { multiply_tf32(d, a, b); }
  template <bool a_across, bool b_across>
  __device__ static void multiply_group(WarpgroupSums& d, SharedMatrix a, SharedMatrix b) {
    multiply_group_tf32<a_across, b_across>(d, a, b);
  }
  __device__ static float round(float x) { return x; }
  __device__ static float widen(float x) { return x; }
  __device__ static void pack(float x, Part (&to)[1]) { to[0] = __float_as_uint(round_tf32(x)); }
  __device__ static float unpack(const Part* at, std::int64_t) { return __uint_as_float(*at); }
};

// How many of the 16-bit numbers that the kernel copies one of these is.
template <class Number>
constexpr int width_of = sizeof(typename Number::Part) / 2;

}  // namespace dip::cuda
