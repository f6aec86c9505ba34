// What the convolution launchers share: padded copies of the input planes, in which every tap is a constant shift.
#pragma once

#include <algorithm>
#include <vector>

#include "core/conv2d.h"
#include "core/phases.h"
#include "cpu/parallel.h"
#include "ops/conv/cpu/kernels.h"

namespace dip::cpu {

constexpr std::int64_t scratch_floats = 2 << 20;  // 8 MB of padded planes at a time: they stay in the last-level cache
constexpr std::int64_t slack = 64;                // floats a kernel may read past the last plane

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
        plane_kernels().copy_phase(
            {
                .height = window.h.input,
                .width = window.w.input,
                .y0 = a - window.h.pad_start,
                .x0 = b - window.w.pad_start,
                .y_step = window.h.stride,
                .x_step = window.w.stride,
                .rows = rows,
                .pitch = pitch,
            },
            source, to);
        to += plane;
      }
    }
  }

  void copy_channels(const Window2d& window, const float* source, std::int64_t channels, float* to) const {
    for (std::int64_t c = 0; c < channels; ++c) {
      copy_channel(window, source + c * window.h.input * window.w.input, to + c * channel);
    }
  }
};

// The inputs i of one axis that one phase of the backward pass computes, those with i·stride + phase − padding in
// [0, input).
struct PhaseRange {
  std::int64_t phase, first, last;  // i in [first, last)

  PhaseRange(const Axis& axis, std::int64_t position) : phase((position + axis.pad_start) % axis.stride) {
    first = divide_up(std::max<std::int64_t>(0, axis.pad_start - phase), axis.stride);
    const std::int64_t room = axis.input + axis.pad_start - phase;
    last = std::max(first, room > 0 ? divide_up(room, axis.stride) : 0);
  }

  std::int64_t size() const { return last - first; }
  std::int64_t position(const Axis& axis) const { return first * axis.stride + phase - axis.pad_start; }
};

// One padded copy of the planes of dy that serves all phases of the backward pass, and for each phase the shift in it,
// and the column of the weights, of every (filter, tap).
struct PaddedGradient {
  std::int64_t y0 = 0, y1, x0 = 0, x1;  // rows [y0, y1) and columns [x0, x1) of dy, zeros outside
  std::int64_t pitch, plane;

  struct Phase {
    PhaseRange h, w;
    std::vector<std::int64_t> offsets, columns;
  };
  std::vector<Phase> phases;

  PaddedGradient(const Window2d& window, std::int64_t filters, std::int64_t channels)
      : y1(window.h.output), x1(window.w.output) {
    const Axis &h = window.h, &w = window.w;
    const TapShifts h_taps(h), w_taps(w);
    for (std::int64_t position : met_phases(h)) {
      const PhaseRange range(h, position);
      y0 = std::min(y0, range.first - h_taps.largest_shift);
      y1 = std::max(y1, range.last);
    }
    for (std::int64_t position : met_phases(w)) {
      const PhaseRange range(w, position);
      x0 = std::min(x0, range.first - w_taps.largest_shift);
      x1 = std::max(x1, range.last);
    }
    pitch = x1 - x0;
    plane = (y1 - y0) * pitch;
    for (std::int64_t position_h : met_phases(h)) {
      for (std::int64_t position_w : met_phases(w)) {
        Phase phase{PhaseRange(h, position_h), PhaseRange(w, position_w), {}, {}};
        for (std::int64_t k = 0; k < filters; ++k) {
          for (std::int64_t r = 0; r < h.kernel; ++r) {
            for (std::int64_t s = 0; s < w.kernel; ++s) {
              if (r * h.dilation % h.stride != phase.h.phase || s * w.dilation % w.stride != phase.w.phase) continue;
              phase.offsets.push_back(k * plane + (phase.h.first - h_taps.shift_of[r] - y0) * pitch +
                                      (phase.w.first - w_taps.shift_of[s] - x0));
              phase.columns.push_back((k * channels * h.kernel + r) * w.kernel + s);
            }
          }
        }
        phases.push_back(std::move(phase));
      }
    }
  }

  void copy_plane(const Window2d& window, const float* dy, float* to) const {
    plane_kernels().copy_phase(
        {
            .height = window.h.output,
            .width = window.w.output,
            .y0 = y0,
            .x0 = x0,
            .y_step = 1,
            .x_step = 1,
            .rows = y1 - y0,
            .pitch = pitch,
        },
        dy, to);
  }
};

}  // namespace dip::cpu
