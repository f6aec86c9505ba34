// The geometry of window operators as plain data: kernels include it.
#pragma once

#include <cstdint>

namespace dip {

// One axis: F = kernel taps, `dilation` apart, every `stride` elements of the padded input.
struct Axis {
  std::int64_t input = 0, kernel = 0, stride = 1, pad_start = 0, pad_end = 0, dilation = 1, output = 0;
};

struct Window2d {
  Axis h, w;
};

// A window over clips: d is the time, or depth. One over images has a single frame and a single tap along it.
struct Window3d : Window2d {
  Axis d{1, 1, 1, 0, 0, 1, 1};

  Window3d() = default;
  Window3d(const Window2d& plane) : Window2d(plane) {}

  std::int64_t input() const { return d.input * h.input * w.input; }  // elements of a channel
  std::int64_t output() const { return d.output * h.output * w.output; }
};

}  // namespace dip
