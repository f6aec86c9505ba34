// The geometry of a 2-D convolution, checked: what every backend's kernels are told.
#pragma once

#include "core/activation_kind.h"
#include "core/axis.h"
#include "core/precision.h"

namespace dip {

// x (N, C, H, W) ⋆ weight (K, C/groups, F_h, F_w) → y (N, K, O_h, O_w), a cross-correlation.
struct Conv2d {
  std::int64_t N = 0, C = 0, K = 0, groups = 1;
  Window2d window;
  ActivationSpec activation;
  Precision precision = Precision::highest;

  std::int64_t group_channels() const { return C / groups; }
  std::int64_t group_filters() const { return K / groups; }
  std::int64_t taps() const { return window.h.kernel * window.w.kernel; }
  std::int64_t x_count() const { return N * C * window.h.input * window.w.input; }
  std::int64_t y_count() const { return N * K * window.h.output * window.w.output; }
  std::int64_t weight_count() const { return K * group_channels() * taps(); }
  // One tap, stride 1, no padding: every position meets just itself.
  bool is_pointwise() const {
    const auto is = [](const Axis& a) { return a.stride == 1 && a.pad_start == 0 && a.pad_end == 0; };
    return taps() == 1 && is(window.h) && is(window.w);
  }
};

// The same over clips: x (N, C, D, H, W) ⋆ weight (K, C/groups, F_d, F_h, F_w) → y (N, K, O_d, O_h, O_w).
struct Conv3d {
  Conv2d frame;  // of one frame with the taps of one frame; its N counts clips
  Axis d;        // along the time, or depth

  std::int64_t x_count() const { return frame.x_count() * d.input; }
  std::int64_t y_count() const { return frame.y_count() * d.output; }
  std::int64_t weight_count() const { return frame.weight_count() * d.kernel; }
};

// Whether 32-bit offsets reach every element, and every position outside the image.
bool fits_32_bits(const Conv2d& p);

}  // namespace dip
