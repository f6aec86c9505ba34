// The instructions of AMX's tile registers, with the register's number a template argument; the compilers' own
// intrinsics take nothing but a literal.
#pragma once

#include <cstdint>

namespace dip::cpu::amx {
namespace {

// All eight tiles have 16 rows of 64 bytes.
struct alignas(64) TileConfiguration {
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

inline void configure() {
  static constexpr TileConfiguration configuration{};
  asm volatile("ldtilecfg %0" : : "m"(configuration));
}

inline void release() {
  asm volatile("tilerelease");
}

template <int Tile>
inline void zero() {
  asm volatile("tilezero %%tmm%c0" : : "i"(Tile));
}

// 16 rows, `line` bytes apart.
template <int Tile>
inline void load(const void* from, std::int64_t line) {
  asm volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(from), "r"(line), "i"(Tile) : "memory");
}
template <int Tile>
inline void store(void* to, std::int64_t line) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(to), "r"(line), "i"(Tile) : "memory");
}

// sum[m][n] += Σ_k a[m][2k] · b[k][2n] + a[m][2k + 1] · b[k][2n + 1]
template <int Sum, int A, int B>
inline void multiply() {
  asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(Sum), "i"(A), "i"(B));
}

}  // namespace
}  // namespace dip::cpu::amx
