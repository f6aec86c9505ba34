// Max pooling on the CPU, compiled once for each instruction set.
//
// Reads 4·H·W and writes 8·O_h·O_w bytes a plane: memory-bound. The lanes of a vector are neighbouring windows, so a
// window's taps are compared in order, and ties fall out the same on every instruction set.
#include "ops/max_pool/kernels.h"

#include "ops/pool/cpu/windows.h"

namespace dip::cpu::DIP_ISA {
namespace {

inline void border_window(const Window3d& p, const WindowLine& windows, const float* x, std::int64_t ow, float* y,
                          std::int32_t* index) {
  const std::int64_t left = ow * p.w.stride - p.w.pad_start;
  float best = -__builtin_inff();
  std::int64_t at = -1;
  windows.each_row(p, [&](std::int64_t row) {
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

// The same, with the window's columns side by side as the lanes, which are compared in the end.
void wide_window(const Window3d& p, const WindowLine& windows, std::int64_t first_row, const float* x, std::int64_t ow,
                 float* y, std::int32_t* index) {
  const Span columns = inside(p.w, ow);
  F best = broadcast(-__builtin_inff());
  I at = broadcast(static_cast<std::int32_t>(first_row * p.w.input + columns.begin));
  windows.each_row(p, [&](std::int64_t row) {
    for (std::int64_t column = columns.begin; column < columns.end; column += W) {
      const std::int64_t lanes = lanes_at(column, columns.end), place = row * p.w.input + column;
      const F value = first_only(load_some(x + place, lanes), lanes, -__builtin_inff());
      const I better = ~(I)(value <= best) & (I)(best == best);
      best = better ? value : best;
      at = better ? lane_numbers() + static_cast<std::int32_t>(place) : at;
    }
  });
  *y = best[0];
  *index = at[0];
  for (int lane = 1; lane < W; ++lane) {
    const float value = best[lane];
    const bool is_nan = value != value, was_nan = *y != *y, first = at[lane] < *index;
    if (is_nan ? !was_nan || first : !was_nan && (value > *y || (value == *y && first))) {
      *y = value;
      *index = at[lane];
    }
  }
}

void volume(const Window3d& p, const float* x, float* y, std::int32_t* indices) {
  const InnerWindows inner(p.w);
  const bool are_wide =
      p.w.dilation == 1 && 2 * p.w.output * ((p.w.kernel + W - 1) / W) <= (p.w.output + W - 1) / W * p.w.kernel;
  for (std::int64_t line = 0; line < p.d.output * p.h.output; ++line, y += p.w.output, indices += p.w.output) {
    const WindowLine windows(p, line);
    const TapSpan &frames = windows.frames, &rows = windows.rows;
    const std::int64_t first_row =
        (frames.start + frames.first_tap * p.d.dilation) * p.h.input + rows.start + rows.first_tap * p.h.dilation;
    if (are_wide) {
      for (std::int64_t ow = 0; ow < p.w.output; ++ow) {
        wide_window(p, windows, first_row, x, ow, y + ow, indices + ow);
      }
      continue;
    }
    for (std::int64_t ow = 0; ow < inner.begin; ++ow) border_window(p, windows, x, ow, y + ow, indices + ow);
    for (std::int64_t ow = inner.begin; ow < inner.end; ow += W) {
      const std::int64_t lanes = lanes_at(ow, inner.end);
      const std::int64_t left = ow * p.w.stride - p.w.pad_start;
      const I steps = lane_numbers() * static_cast<std::int32_t>(p.w.stride);
      F best = broadcast(-__builtin_inff());
      I at = steps + static_cast<std::int32_t>(first_row * p.w.input + left);
      windows.each_row(p, [&](std::int64_t row) {
        for (std::int64_t s = 0; s < p.w.kernel; ++s) {
          const std::int64_t column = left + s * p.w.dilation, place = row * p.w.input + column;
          const F value = load_strided(x + place, p.w.stride, lanes, p.w.input - column);
          const I better = ~(I)(value <= best) & (I)(best == best);
          best = better ? value : best;
          at = better ? steps + static_cast<std::int32_t>(place) : at;
        }
      });
      store_some(y + ow, best, lanes);
      store_some(indices + ow, at, lanes);
    }
    for (std::int64_t ow = inner.end; ow < p.w.output; ++ow) border_window(p, windows, x, ow, y + ow, indices + ow);
  }
}

}  // namespace

extern const MaxPoolKernels max_pool_kernels = {
    .volume = volume,
};

}  // namespace dip::cpu::DIP_ISA
