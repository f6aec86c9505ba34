// Phases of a gradient as kernels take them (core/phases.h).
#pragma once

#include <algorithm>
#include <vector>

#include "core/axis.h"
#include "core/phases.h"
#include "cuda/device.h"

namespace dip::cuda {

// Every stride-th position from `first`, and of the taps every tap_step-th from `first_tap`, `taps` of them. Position q
// of the phase and its tap t meet in window q + first_window + t·window_step.
struct Phase {
  int first, count, first_tap, tap_step, taps, first_window, window_step;

  __host__ __device__ int lowest_window() const {
    return window_step < 0 ? first_window + (taps - 1) * window_step : first_window;
  }
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
  // Divisible, as the taps of a phase are.
  result.first_window = int((first + axis.pad_start - result.first_tap * axis.dilation) / axis.stride);
  result.window_step = int(-(result.tap_step * axis.dilation) / axis.stride);
  return result;
}

// Some phases of an axis that one launch computes.
struct Phases {
  static constexpr int most = 4;
  int count = 0;
  Phase all[most] = {};

  // Chosen so, and not by an index: for that every thread would copy all of them to memory of its own.
  __device__ Phase at(int i) const {
    Phase chosen = all[0];
#pragma unroll
    for (int k = 1; k < most; ++k) {
      if (i == k) chosen = all[k];
    }
    return chosen;
  }
  int most_positions() const {
    int most_of_all = 0;
    for (int i = 0; i < count; ++i) most_of_all = std::max(most_of_all, all[i].count);
    return most_of_all;
  }
  int most_taps() const {
    int most_of_all = 0;
    for (int i = 0; i < count; ++i) most_of_all = std::max(most_of_all, all[i].taps);
    return most_of_all;
  }
};

// All phases that some tap meets, for as few launches as there are sets.
inline std::vector<Phases> sets_of_phases(const Axis& axis) {
  std::vector<Phases> sets;
  for (std::int64_t first : met_phases(axis)) {
    if (sets.empty() || sets.back().count == Phases::most) sets.emplace_back();
    Phases& last = sets.back();
    last.all[last.count++] = make_phase(axis, first);
  }
  return sets;
}

}  // namespace dip::cuda
