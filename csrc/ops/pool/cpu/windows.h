// Windows of pooling over one channel, for vector kernels, whose lanes are neighbouring windows.
#pragma once

#include "core/axis.h"
#include "cpu/simd.h"

namespace dip::cpu::DIP_ISA {
namespace {

// The elements of a row that one tap of neighbouring windows meets, or that are `stride` apart; `readable` follow p in
// the row.
inline F load_strided(const float* p, std::int64_t stride, std::int64_t lanes, std::int64_t readable) {
  if (stride == 1) return load_some(p, lanes);
  if (stride == 2) return load_even(p, readable);
  F v = {};
  for (std::int64_t lane = 0; lane < lanes; ++lane) v[lane] = p[lane * stride];
  return v;
}

// Elements of an axis, or windows along it.
struct Span {
  std::int64_t begin, end;
  std::int64_t size() const { return end - begin; }
};

// The input that a window meets whose taps are side by side.
inline Span inside(const Axis& axis, std::int64_t output) {
  const std::int64_t start = output * axis.stride - axis.pad_start, end = start + axis.kernel;
  return {start > 0 ? start : 0, end < axis.input ? end : axis.input};
}

// Where a window's taps along one axis lie: [first_tap, last_tap) inside, tap 0 at `start`.
struct TapSpan {
  std::int64_t first_tap = 0, last_tap, start;

  TapSpan(const Axis& axis, std::int64_t output) : last_tap(axis.kernel), start(output * axis.stride - axis.pad_start) {
    while (start + first_tap * axis.dilation < 0) ++first_tap;
    while (start + (last_tap - 1) * axis.dilation >= axis.input) --last_tap;
  }
};

// A line of windows, of all frames the `line`-th.
struct WindowLine {
  TapSpan frames, rows;

  WindowLine(const Window3d& p, std::int64_t line) : frames(p.d, line / p.h.output), rows(p.h, line % p.h.output) {}

  // Calls body(row) for the rows of the input that it meets, numbered through all frames.
  template <class Body>
  void each_row(const Window3d& p, const Body& body) const {
    for (std::int64_t t = frames.first_tap; t < frames.last_tap; ++t) {
      const std::int64_t frame = frames.start + t * p.d.dilation;
      for (std::int64_t r = rows.first_tap; r < rows.last_tap; ++r) {
        body(frame * p.h.input + rows.start + r * p.h.dilation);
      }
    }
  }
};

// The windows [begin, end) all of whose taps along an axis lie in the input.
struct InnerWindows {
  std::int64_t begin, end;

  explicit InnerWindows(const Axis& axis) {
    const std::int64_t room = axis.input - 1 - axis.dilation * (axis.kernel - 1) + axis.pad_start;
    begin = (axis.pad_start + axis.stride - 1) / axis.stride;
    end = room < 0 ? 0 : room / axis.stride + 1;
    if (end > axis.output) end = axis.output;
    if (begin > end) begin = end;
  }
};

}  // namespace
}  // namespace dip::cpu::DIP_ISA
