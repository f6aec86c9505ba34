// How operators along a class axis, (outer, classes, inner), split their positions among threads.
#pragma once

#include <algorithm>

#include "cpu/parallel.h"

namespace dip::cpu {

// Calls body(begin, end) for pieces of the outer·inner positions of about 2¹⁴ elements. Where inner > 1 a piece lies
// within one outer index and begins at a multiple of 64, so that vectors fall on the same positions every time.
template <class Body>
void parallel_positions(std::int64_t outer, std::int64_t classes, std::int64_t inner, const Body& body) {
  const std::int64_t wanted = (1 << 14) / std::max<std::int64_t>(classes, 1) + 1;
  if (inner == 1) return parallel_ranges(outer, wanted, body);
  const std::int64_t step = (wanted + 63) / 64 * 64, pieces = (inner + step - 1) / step;
  parallel_for(outer * pieces, [&](std::int64_t task) {
    const std::int64_t begin = task / pieces * inner, within = task % pieces * step;
    body(begin + within, begin + std::min(inner, within + step));
  });
}

}  // namespace dip::cpu
