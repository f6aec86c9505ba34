// Tensor cores, warpgroups and the copy unit on the host, as PTX defines them. Part of device.h.
#pragma once

#include <cmath>
#include <cstring>

#include "cuda/emulation/fibers.h"

namespace dip::cuda {

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
DIP_UNSANITIZED inline void add_product(float (&d)[4], const float* a, const float* b, int depth) {
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
  if (lane == 0) emulation::count_event("products 16x8x8 of a warp, TF32", 0);
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
  if (lane == 0) emulation::count_event("products 16x8x16 of a warp, 16 bits", 0);
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
                                                     Bits bits{};
                                                     if constexpr (emulation::counts) {
                                                       emulation::copy_unseen(&bits, from, sizeof bits);
                                                     } else {
                                                       std::memcpy(&bits, from, sizeof bits);
                                                     }
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
