// AMX's tile registers as arrays, for testing where there are none: what core/amx.h says, by Intel's description of the
// instructions. Numbers below 2⁻¹²⁶ count as zeros, going in and coming out.
#pragma once

#include <cmath>
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
  return std::fabs(value) < 0x1p-126f ? std::copysign(0.0f, value) : value;
}
inline float number(std::uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
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
    for (int n = 0; n < 16; ++n) {
      float even = 0.0f, odd = 0.0f;
      for (int k = 0; k < 16; ++k) {
        const std::uint32_t a = registers.word[A][m][k], b = registers.word[B][k][n];
        even = flushed(std::fma(lower(a), lower(b), even));
        odd = flushed(std::fma(upper(a), upper(b), odd));
      }
      const float sum = flushed(number(registers.word[Sum][m][n]) + flushed(even + odd));
      std::memcpy(&registers.word[Sum][m][n], &sum, sizeof sum);
    }
  }
}

}  // namespace
}  // namespace amx
}  // namespace dip::cpu::amx_emulated
