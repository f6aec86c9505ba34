#include "cpu/finite.h"

#include <atomic>
#include <cfloat>

#include "cpu/parallel.h"

namespace dip::cpu {
namespace {

// Without a branch inside a range, so that it vectorises.
template <class Odd>
bool any(const float* values, std::int64_t count, const Odd& odd) {
  std::atomic<bool> found{false};
  parallel_ranges(count, 1 << 16, [&](std::int64_t begin, std::int64_t end) {
    bool here = false;
    for (std::int64_t i = begin; i < end; ++i) here |= odd(values[i]);
    if (here) found.store(true, std::memory_order_relaxed);
  });
  return found;
}

}  // namespace

bool all_finite(const float* values, std::int64_t count) {
  return !any(values, count, [](float v) { return !(__builtin_fabsf(v) <= FLT_MAX); });
}

bool any_nan(const float* values, std::int64_t count) {
  return any(values, count, [](float v) { return v != v; });
}

}  // namespace dip::cpu
