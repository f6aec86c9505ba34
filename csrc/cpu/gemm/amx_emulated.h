// AMX's tile registers as arrays, for testing where there are none: what cpu/gemm/amx.h says, by Intel's description of
// the instructions. Numbers below 2⁻¹²⁶ count as zeros, going in and coming out.
#pragma once

#include <cstdint>
#include <cstring>

namespace dip::cpu::amx_emulated {
namespace amx {
namespace {

struct TileRegisters {
  std::uint32_t word[8][16][16];
};
thread_local TileRegisters registers;

inline void configure() {
  std::memset(registers.word, 0, sizeof registers.word);
}

// What is left is not to be relied on.
inline void release() {
  std::memset(registers.word, 0xff, sizeof registers.word);
}

template <int Tile>
inline void zero() {
  std::memset(registers.word[Tile], 0, sizeof registers.word[Tile]);
}

template <int Tile>
inline void load(const void* from, std::int64_t line) {
  for (int row = 0; row < 16; ++row) {
    std::memcpy(registers.word[Tile][row], static_cast<const char*>(from) + row * line, 64);
  }
}
template <int Tile>
inline void store(void* to, std::int64_t line) {
  for (int row = 0; row < 16; ++row) std::memcpy(static_cast<char*>(to) + row * line, registers.word[Tile][row], 64);
}

inline float flushed(float value) {
  return __builtin_fabsf(value) < 0x1p-126f ? __builtin_copysignf(0.0f, value) : value;
}
inline float number(std::uint32_t bits) {
  float value;
  __builtin_memcpy(&value, &bits, sizeof value);
  return flushed(value);
}
inline float lower(std::uint32_t word) {
  return number(word << 16);
}
inline float upper(std::uint32_t word) {
  return number(word & 0xffff0000u);
}

template <int Sum, int A, int B>
inline void multiply() {
  for (int m = 0; m < 16; ++m) {
    float even[16] = {}, odd[16] = {};
    for (int k = 0; k < 16; ++k) {
      const std::uint32_t a = registers.word[A][m][k];
      const float a_lower = lower(a), a_upper = upper(a);
      for (int n = 0; n < 16; ++n) {
        const std::uint32_t b = registers.word[B][k][n];
        even[n] = flushed(__builtin_fmaf(a_lower, lower(b), even[n]));
        odd[n] = flushed(__builtin_fmaf(a_upper, upper(b), odd[n]));
      }
    }
    for (int n = 0; n < 16; ++n) {
      const float sum = flushed(number(registers.word[Sum][m][n]) + flushed(even[n] + odd[n]));
      __builtin_memcpy(&registers.word[Sum][m][n], &sum, sizeof sum);
    }
  }
}

}  // namespace
}  // namespace amx
}  // namespace dip::cpu::amx_emulated
