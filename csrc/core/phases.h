// The positions of x along one axis that windows meet with the same taps, for gradients: every stride-th is a phase.
#pragma once

#include <algorithm>
#include <vector>

#include "core/axis.h"

namespace dip {

inline std::int64_t count_phases(const Axis& axis) {
  return std::min(axis.stride, axis.input);
}

// The first position of each phase that some tap meets, of which there are at most as many as taps, however large the
// stride is. The gradient is zero everywhere else.
inline std::vector<std::int64_t> met_phases(const Axis& axis) {
  std::vector<std::int64_t> phases;
  for (std::int64_t first = 0; first < count_phases(axis); ++first) {
    for (std::int64_t tap = 0; tap < axis.kernel; ++tap) {
      if ((first + axis.pad_start - tap * axis.dilation) % axis.stride != 0) continue;
      phases.push_back(first);
      break;
    }
  }
  return phases;
}

inline bool meets_all(const Axis& axis) {
  return static_cast<std::int64_t>(met_phases(axis).size()) == count_phases(axis);
}

}  // namespace dip
