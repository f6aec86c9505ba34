// Max pooling on the CPU, compiled once for each instruction set.
//
// Reads 4·H·W and writes 8·O_h·O_w bytes a plane: memory-bound. The lanes of a vector are neighbouring windows, so a
// window's taps are compared in order, and ties fall out the same on every instruction set.
#include "ops/max_pool/kernels.h"

#include "cpu/simd.h"

namespace dip::cpu::DIP_ISA {
namespace {

// The input columns of one tap for W neighbouring windows; `readable` elements follow p in its row.
inline F load_strided(const float* p, std::int64_t stride, std::int64_t lanes, std::int64_t readable) {
  if (stride == 1) return lanes == W ? load(p) : load(p, lanes);
  if (stride == 2) return load_even(p, readable);
  F v = {};
  for (std::int64_t lane = 0; lane < lanes; ++lane) v[lane] = p[lane * stride];
  return v;
}

// Where a window's taps along one axis lie: [first_tap, last_tap) inside, tap 0 at `start`.
struct Span {
  std::int64_t first_tap = 0, last_tap, start;

  Span(const Axis& axis, std::int64_t output) : last_tap(axis.kernel), start(output * axis.stride - axis.pad_start) {
    while (start + first_tap * axis.dilation < 0) ++first_tap;
    while (start + (last_tap - 1) * axis.dilation >= axis.input) --last_tap;
  }
};

// Calls body(row) for the rows of x that a window meets, numbered through all frames.
template <class Body>
inline void each_row(const Window3d& p, const Span& frames, const Span& rows, const Body& body) {
  for (std::int64_t t = frames.first_tap; t < frames.last_tap; ++t) {
    const std::int64_t frame = frames.start + t * p.d.dilation;
    for (std::int64_t r = rows.first_tap; r < rows.last_tap; ++r) {
      body(frame * p.h.input + rows.start + r * p.h.dilation);
    }
  }
}

inline void border_window(const Window3d& p, const Span& frames, const Span& rows, const float* x, std::int64_t ow,
                          float* y, std::int32_t* index) {
  const std::int64_t left = ow * p.w.stride - p.w.pad_start;
  float best = -__builtin_inff();
  std::int64_t at = -1;
  each_row(p, frames, rows, [&](std::int64_t row) {
    for (std::int64_t s = 0; s < p.w.kernel; ++s) {
      const std::int64_t column = left + s * p.w.dilation;
      if (column < 0 || column >= p.w.input) continue;
      const std::int64_t position = row * p.w.input + column;
      if (at < 0) at = position;
      const float value = x[position];
      if (!(value <= best) && best == best) {
        best = value;
        at = position;
      }
    }
  });
  *y = best;
  *index = static_cast<std::int32_t>(at);
}

void volume(const Window3d& p, const float* x, float* y, std::int32_t* indices) {
  // Windows [inner_begin, inner_end) lie between the left and right padding.
  const std::int64_t span = p.w.dilation * (p.w.kernel - 1);
  std::int64_t inner_begin = (p.w.pad_start + p.w.stride - 1) / p.w.stride;
  const std::int64_t room = p.w.input - 1 - span + p.w.pad_start;
  std::int64_t inner_end = room < 0 ? 0 : room / p.w.stride + 1;
  if (inner_end > p.w.output) inner_end = p.w.output;
  if (inner_begin > inner_end) inner_begin = inner_end;
  for (std::int64_t line = 0; line < p.d.output * p.h.output; ++line, y += p.w.output, indices += p.w.output) {
    const Span frames(p.d, line / p.h.output), rows(p.h, line % p.h.output);
    const std::int64_t first_row =
        (frames.start + frames.first_tap * p.d.dilation) * p.h.input + rows.start + rows.first_tap * p.h.dilation;
    for (std::int64_t ow = 0; ow < inner_begin; ++ow) border_window(p, frames, rows, x, ow, y + ow, indices + ow);
    for (std::int64_t ow = inner_begin; ow < inner_end; ow += W) {
      const std::int64_t lanes = inner_end - ow < W ? inner_end - ow : W;
      const std::int64_t left = ow * p.w.stride - p.w.pad_start;
      const I steps = lane_numbers() * static_cast<std::int32_t>(p.w.stride);
      F best = broadcast(-__builtin_inff());
      I at = steps + static_cast<std::int32_t>(first_row * p.w.input + left);
      each_row(p, frames, rows, [&](std::int64_t row) {
        for (std::int64_t s = 0; s < p.w.kernel; ++s) {
          const std::int64_t column = left + s * p.w.dilation, place = row * p.w.input + column;
          const F value = load_strided(x + place, p.w.stride, lanes, p.w.input - column);
          const I better = ~(I)(value <= best) & (I)(best == best);
          best = better ? value : best;
          at = better ? steps + static_cast<std::int32_t>(place) : at;
        }
      });
      if (lanes == W) {
        store(y + ow, best);
        store(indices + ow, at);
      } else {
        store(y + ow, best, lanes);
        store(indices + ow, at, lanes);
      }
    }
    for (std::int64_t ow = inner_end; ow < p.w.output; ++ow)
      border_window(p, frames, rows, x, ow, y + ow, indices + ow);
  }
}

}  // namespace

extern const MaxPoolKernels max_pool_kernels = {
    .volume = volume,
};

}  // namespace dip::cpu::DIP_ISA
