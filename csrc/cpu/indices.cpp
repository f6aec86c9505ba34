#include "core/indices.h"
#include "core/check.h"

namespace dip::cpu {
namespace {

constexpr std::int64_t block = 1024;

// Counts the bad ones of a block without a branch, which vectorises; looks closer only where there are any.
template <class Error, class T, class Bad>
void check_none(const T* values, std::int64_t count, const Bad& bad, const Describe& describe) {
  for (std::int64_t begin = 0; begin < count; begin += block) {
    const std::int64_t end = begin + block < count ? begin + block : count;
    std::int64_t found = 0;
    for (std::int64_t i = begin; i < end; ++i) found += bad(values[i]);
    if (!found) continue;
    for (std::int64_t i = begin; i < end; ++i) {
      if (bad(values[i])) throw Error(describe(i, static_cast<double>(values[i])));
    }
  }
}

}  // namespace

void check_indices(const std::int32_t* indices, std::int64_t count, std::int64_t first, std::int64_t limit,
                   Describe describe) {
  check_none<IndexError>(indices, count, [=](std::int32_t i) { return (i < first) | (i >= limit); }, describe);
}

void check_labels(const std::int64_t* labels, std::int64_t count, std::int64_t limit, std::int64_t except,
                  Describe describe) {
  check_none<IndexError>(
      labels, count, [=](std::int64_t i) { return ((i < 0) | (i >= limit)) & (i != except); }, describe);
}

void check_proper(Reals values, std::int64_t count, Describe describe) {
  check_none<ValueError>(values, count, [](float v) { return !(v >= 0.0f) | !(v < __builtin_inff()); }, describe);
}

}  // namespace dip::cpu
