#include "core/indices.h"

namespace dip::cpu {
namespace {

constexpr std::int64_t block = 1024;

// Counts the bad ones of a block without a branch, which vectorises; looks closer only where there are any.
template <class T, class Bad>
std::int64_t find_first(const T* values, std::int64_t count, const Bad& bad) {
  for (std::int64_t begin = 0; begin < count; begin += block) {
    const std::int64_t end = begin + block < count ? begin + block : count;
    std::int64_t found = 0;
    for (std::int64_t i = begin; i < end; ++i) found += bad(values[i]);
    if (!found) continue;
    for (std::int64_t i = begin; i < end; ++i) {
      if (bad(values[i])) return i;
    }
  }
  return -1;
}

}  // namespace

std::int64_t find_outside(const std::int32_t* indices, std::int64_t count, std::int64_t limit) {
  return find_first(indices, count, [=](std::int32_t i) { return (i < 0) | (i >= limit); });
}

std::int64_t find_outside(const std::int64_t* indices, std::int64_t count, std::int64_t limit, std::int64_t except) {
  return find_first(indices, count, [=](std::int64_t i) { return ((i < 0) | (i >= limit)) & (i != except); });
}

std::int64_t find_improper(const float* values, std::int64_t count) {
  return find_first(values, count, [](float v) { return !(v >= 0.0f) | !(v < __builtin_inff()); });
}

}  // namespace dip::cpu
