#include "cpu/finite.h"

#include <atomic>
#include <cstring>

#include "cpu/parallel.h"

namespace dip::cpu {
namespace {

// Whether some number's bits, but for the sign, are at least `least`: adding what is missing from there sets the sign.
// By whole numbers and without a branch inside a range, so that it vectorises.
bool any_from(std::uint32_t least, const float* values, std::int64_t count) {
  constexpr std::uint32_t sign = 0x80000000u;
  std::atomic<std::uint32_t> found{0};
  parallel_ranges(count, 1 << 16, [&](std::int64_t begin, std::int64_t end) {
    std::uint32_t here = 0;
    for (std::int64_t i = begin; i < end; ++i) {
      std::uint32_t bits;
      std::memcpy(&bits, values + i, sizeof bits);
      here |= (bits & ~sign) + (sign - least);
    }
    found.fetch_or(here, std::memory_order_relaxed);
  });
  return (found & sign) != 0;
}

constexpr std::uint32_t infinity = 0x7f800000u;

}  // namespace

bool all_finite(const float* values, std::int64_t count) {
  return !any_from(infinity, values, count);
}

bool any_nan(const float* values, std::int64_t count) {
  return any_from(infinity + 1, values, count);
}

}  // namespace dip::cpu
