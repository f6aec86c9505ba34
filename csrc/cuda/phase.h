// A phase of a gradient as kernels take it (core/phases.h).
#pragma once

#include "core/axis.h"

namespace dip::cuda {

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

}  // namespace dip::cuda
