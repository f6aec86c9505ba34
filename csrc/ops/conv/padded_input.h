// What the convolution launchers share: padded copies of the input planes, in which every tap is a constant shift.
#pragma once

#include <algorithm>
#include <vector>

#include "ops/conv/kernels.h"
#include "ops/conv/params.h"

namespace dip::cpu {

constexpr std::int64_t scratch_floats = 2 << 20;  // 8 MB of padded planes at a time: they stay in the last-level cache
constexpr std::int64_t slack = 64;                // floats a kernel may read past the last plane
constexpr std::int64_t pieces_wanted = 16;        // enough for the threads to share evenly

// Where the taps of one axis lie after splitting it into phases: tap t reads phase (t·dilation) mod stride at the
// shift ⌊t·dilation / stride⌋.
struct TapShifts {
  std::vector<std::int64_t> phases;              // the phases that some tap uses
  std::vector<std::int64_t> phase_of, shift_of;  // for each tap: index into `phases`, and shift
  std::int64_t largest_shift = 0;

  explicit TapShifts(const Axis& axis) {
    for (std::int64_t t = 0; t < axis.kernel; ++t) {
      const std::int64_t phase = t * axis.dilation % axis.stride, shift = t * axis.dilation / axis.stride;
      auto found = std::find(phases.begin(), phases.end(), phase);
      phase_of.push_back(found - phases.begin());
      if (found == phases.end()) phases.push_back(phase);
      shift_of.push_back(shift);
      largest_shift = std::max(largest_shift, shift);
    }
  }
};

// The padded copies of the input planes of one image, and the shift of every (channel, tap) in them.
struct PaddedInput {
  TapShifts h, w;
  std::int64_t rows, pitch, plane, channel;  // rows and columns of a phase; floats in a phase and in a channel
  std::vector<std::int64_t> offsets;         // channels × taps

  PaddedInput(const Window2d& window, std::int64_t channels)
      : h(window.h),
        w(window.w),
        rows(window.h.output + h.largest_shift),
        pitch(window.w.output + w.largest_shift),
        plane(rows * pitch),
        channel(plane * static_cast<std::int64_t>(h.phases.size() * w.phases.size())) {
    for (std::int64_t c = 0; c < channels; ++c) {
      for (std::int64_t r = 0; r < window.h.kernel; ++r) {
        for (std::int64_t s = 0; s < window.w.kernel; ++s) {
          const std::int64_t phase = h.phase_of[r] * static_cast<std::int64_t>(w.phases.size()) + w.phase_of[s];
          offsets.push_back(c * channel + phase * plane + h.shift_of[r] * pitch + w.shift_of[s]);
        }
      }
    }
  }

  void copy_channel(const Window2d& window, const float* source, float* to) const {
    for (std::int64_t a : h.phases) {
      for (std::int64_t b : w.phases) {
        conv_kernels().copy_phase({window.h.input, window.w.input, a - window.h.pad_start, b - window.w.pad_start,
                                   window.h.stride, window.w.stride, rows, pitch},
                                  source, to);
        to += plane;
      }
    }
  }
};

// Groups of few filters and channels, depthwise convolution above all: a tile of the product would stay nearly empty,
// so every plane of results is computed by itself, from a padded copy that fits into the first-level cache.
inline bool by_rows(const Conv2d& p) {
  return p.groups > 1 && p.group_filters() * p.group_channels() <= 4;
}

}  // namespace dip::cpu
