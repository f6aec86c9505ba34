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

namespace cuda {

// Every stride-th position from `first`, and of the taps every tap_step-th from `first_tap`.
struct Phase {
  int first, count, first_tap, tap_step, taps;
};

inline Phase make_phase(const Axis& axis, std::int64_t first) {
  Phase result{};
  result.first = int(first);
  result.count = int((axis.input - first + axis.stride - 1) / axis.stride);
  result.tap_step = 1;
  for (std::int64_t tap = 0; tap < axis.kernel; ++tap) {
    if ((first + axis.pad_start - tap * axis.dilation) % axis.stride != 0) continue;
    if (result.taps == 0) result.first_tap = int(tap);
    if (result.taps == 1) result.tap_step = int(tap) - result.first_tap;
    ++result.taps;
  }
  return result;
}

}  // namespace cuda
}  // namespace dip
