// Which taps meet which places of the source, on one axis, where nothing is padded.
#pragma once

#include <utility>
#include <vector>

#include "core/axis.h"
#include "core/phases.h"
#include "cpu/parallel.h"
#include "ops/conv/cpu/kernels.h"

namespace dip::cpu {

// One axis of a product: position i meets with tap t the place i·step + shift[t] of the source.
struct TapAxis {
  std::int64_t step = 1;
  std::vector<std::int64_t> shift;
  std::vector<TapRange> taps;  // for every position, which taps meet the source

  TapAxis(std::int64_t positions, std::int64_t step_, std::int64_t extent, std::vector<std::int64_t> shift_)
      : step(step_), shift(std::move(shift_)), taps(positions, TapRange{0, 0}) {
    for (std::int64_t i = 0; i < positions; ++i) {
      const auto meets = [&](std::int64_t t) { return i * step + shift[t] >= 0 && i * step + shift[t] < extent; };
      std::int32_t first = 0, last = static_cast<std::int32_t>(shift.size());
      while (first < last && !meets(first)) ++first;
      while (first < last && !meets(last - 1)) --last;
      taps[i] = first < last ? TapRange{first, last} : TapRange{0, 0};
    }
  }

  // How many pairs of a position and a tap meet the source.
  std::int64_t meetings() const {
    std::int64_t sum = 0;
    for (const TapRange& range : taps) sum += range.last - range.first;
    return sum;
  }
  std::int64_t positions() const { return static_cast<std::int64_t>(taps.size()); }
  std::int64_t count() const { return static_cast<std::int64_t>(shift.size()); }
};

inline TapAxis forward_axis(const Axis& axis) {
  std::vector<std::int64_t> shift;
  for (std::int64_t t = 0; t < axis.kernel; ++t) shift.push_back(t * axis.dilation - axis.pad_start);
  return TapAxis(axis.output, axis.stride, axis.input, shift);
}

// The inputs of one axis that the same taps meet: every stride-th from `first`.
struct TapPhase {
  std::int64_t first;
  std::vector<std::int64_t> taps;
  TapAxis axis;
};

inline TapPhase backward_phase(const Axis& axis, std::int64_t first) {
  const std::int64_t positions = divide_up(axis.input - first, axis.stride);
  std::vector<std::int64_t> taps, shift;
  for (std::int64_t t = axis.kernel - 1; t >= 0; --t) {  // so that dy is read forwards
    const std::int64_t from = first + axis.pad_start - t * axis.dilation;
    if (from % axis.stride != 0) continue;
    taps.push_back(t);
    shift.push_back(from / axis.stride);  // exact
  }
  return {first, taps, TapAxis(positions, 1, axis.output, shift)};
}

// All phases that some tap meets.
inline std::vector<TapPhase> backward_phases(const Axis& axis) {
  std::vector<TapPhase> phases;
  for (std::int64_t first : met_phases(axis)) phases.push_back(backward_phase(axis, first));
  return phases;
}

}  // namespace dip::cpu
