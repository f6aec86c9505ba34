// Average, sum and L2 pooling on the CPU, one channel at a time, compiled once for each instruction set.
//
// Memory-bound. Each tap adds a (strided) input row to the output row, which stays in the first-level cache; the taps
// outside the input are skipped by cutting the row, so there is no border case. Sums of more terms than `most_plain`
// are taken window by window, or element by element, and lose nothing by their length.
#include "ops/pool/kernels.h"

#include "cpu/simd.h"

namespace dip::cpu::DIP_ISA {
namespace {

// The outputs [first, last) of an axis whose tap `t` lies inside the input, and the input position for output 0.
struct Reach {
  std::int64_t first, last, start;
};

inline Reach reach(const Axis& axis, std::int64_t tap) {
  Reach r;
  r.start = tap * axis.dilation - axis.pad_start;
  r.first = r.start >= 0 ? 0 : (-r.start + axis.stride - 1) / axis.stride;
  r.last = r.start >= axis.input ? 0 : (axis.input - 1 - r.start) / axis.stride + 1;
  if (r.last > axis.output) r.last = axis.output;
  return r;
}

// Where a window begins and ends in the input.
struct Span {
  std::int64_t begin, end;
  std::int64_t size() const { return end - begin; }
};

inline Span inside(const Axis& axis, std::int64_t output) {
  const std::int64_t start = output * axis.stride - axis.pad_start, end = start + axis.kernel;
  return {start > 0 ? start : 0, end < axis.input ? end : axis.input};
}

// The windows that meet an element of the input.
inline Span windows_over(const Axis& axis, std::int64_t position) {
  const std::int64_t last = (position + axis.pad_start) / axis.stride + 1,
                     before = position + axis.pad_start - axis.kernel;
  const std::int64_t begin = before < 0 ? 0 : before / axis.stride + 1;
  return {begin, last < axis.output ? last : axis.output};
}

// How many places of a window count: those in the input, or in the padding too, but never beyond it.
inline std::int64_t counted(const Pool& p, const Axis& axis, std::int64_t output) {
  if (!p.count_include_pad) return inside(axis, output).size();
  const std::int64_t start = output * axis.stride - axis.pad_start, end = start + axis.kernel;
  return (end < axis.input + axis.pad_end ? end : axis.input + axis.pad_end) - start;
}

// What one window's sum is divided by. `line`: of the result, through all its frames.
inline float divisor(const Pool& p, std::int64_t line, std::int64_t ow) {
  if (p.kind != Pooling::average) return 1.0f;
  if (p.divides_by_all) return static_cast<float>(p.taps());
  const std::int64_t od = line / p.window.h.output, oh = line % p.window.h.output;
  return static_cast<float>(counted(p, p.window.d, od) * counted(p, p.window.h, oh) * counted(p, p.window.w, ow));
}

// Calls body(row) for the rows of the input that a line of windows meets, numbered through all frames.
template <class Body>
inline void each_row(const Window3d& window, std::int64_t line, const Body& body) {
  const Axis &d = window.d, &h = window.h;
  const std::int64_t od = line / h.output, oh = line % h.output;
  for (std::int64_t t = 0; t < d.kernel; ++t) {
    const std::int64_t frame = od * d.stride + t * d.dilation - d.pad_start;
    if (frame < 0 || frame >= d.input) continue;
    for (std::int64_t r = 0; r < h.kernel; ++r) {
      const std::int64_t ih = oh * h.stride + r * h.dilation - h.pad_start;
      if (ih >= 0 && ih < h.input) body(frame * h.input + ih);
    }
  }
}

// Of so many terms a plain sum in float32 is as good as any.
constexpr std::int64_t most_plain = 64;

// The sum over one window of many taps, of squares for L2.
inline float window_sum(const Pool& p, const float* x, std::int64_t line, Span columns) {
  LongSum sum;
  each_row(p.window, line, [&](std::int64_t row) {
    const float* in = x + row * p.window.w.input + columns.begin;
    for (std::int64_t i = 0; i < columns.size(); i += W) {
      const F v = load_some(in + i, lanes_at(i, columns.size()));
      sum.add(p.kind == Pooling::l2 ? v * v : v);
    }
  });
  return horizontal_sum(sum.total());
}

void forward(const Pool& p, const float* x, float* y) {
  const Axis& w = p.window.w;
  const bool plain = p.taps() <= most_plain;
  for (std::int64_t line = 0; line < p.window.d.output * p.window.h.output; ++line) {
    float* out = y + line * w.output;
    for (std::int64_t ow = 0; ow < w.output; ++ow) out[ow] = plain ? 0.0f : window_sum(p, x, line, inside(w, ow));
    const auto add_row = [&](std::int64_t row) {
      for (std::int64_t s = 0; s < w.kernel; ++s) {
        const Reach columns = reach(w, s);
        const float* in = x + row * w.input + columns.start;
        if (p.kind == Pooling::l2) {
          for (std::int64_t ow = columns.first; ow < columns.last; ++ow) {
            out[ow] += in[ow * w.stride] * in[ow * w.stride];
          }
        } else {
          for (std::int64_t ow = columns.first; ow < columns.last; ++ow) out[ow] += in[ow * w.stride];
        }
      }
    };
    if (plain) each_row(p.window, line, add_row);
    if (p.kind == Pooling::l2) {
      for (std::int64_t ow = 0; ow < w.output; ++ow) out[ow] = __builtin_sqrtf(out[ow]);
    } else if (p.kind == Pooling::average) {
      for (std::int64_t ow = 0; ow < w.output; ++ow) out[ow] /= divisor(p, line, ow);
    }
  }
}

// What output `o` gives an element of its window.
inline float share(const Pool& p, std::int64_t line, std::int64_t ow, const float* dy, const float* y, float x) {
  const std::int64_t o = line * p.window.w.output + ow;
  if (p.kind != Pooling::l2) return dy[o] / divisor(p, line, ow);
  // d‖x‖/dx = x/‖x‖; at ‖x‖ = 0 the subgradient 0.
  return y[o] != 0.0f ? dy[o] * (x / y[o]) : 0.0f;
}

void backward_plain(const Pool& p, const float* dy, const float* x, const float* y, float* dx) {
  const Axis& w = p.window.w;
  for (std::int64_t i = 0; i < p.window.input(); ++i) dx[i] = 0.0f;
  for (std::int64_t line = 0; line < p.window.d.output * p.window.h.output; ++line) {
    each_row(p.window, line, [&](std::int64_t row) {
      for (std::int64_t s = 0; s < w.kernel; ++s) {
        const Reach columns = reach(w, s);
        const std::int64_t start = row * w.input + columns.start;
        for (std::int64_t ow = columns.first; ow < columns.last; ++ow) {
          const std::int64_t i = start + ow * w.stride;
          dx[i] += share(p, line, ow, dy, y, x ? x[i] : 0.0f);
        }
      }
    });
  }
}

void backward(const Pool& p, const float* dy, const float* x, const float* y, float* dx) {
  const Axis &d = p.window.d, &h = p.window.h, &w = p.window.w;
  const std::int64_t windows_over_one =
      (d.kernel / d.stride + 1) * (h.kernel / h.stride + 1) * (w.kernel / w.stride + 1);
  if (windows_over_one <= most_plain) return backward_plain(p, dy, x, y, dx);
  for (std::int64_t i = 0; i < p.window.input(); ++i) {
    const Span frames = windows_over(d, i / w.input / h.input), rows = windows_over(h, i / w.input % h.input),
               columns = windows_over(w, i % w.input);
    double sum = 0.0;
    for (std::int64_t od = frames.begin; od < frames.end; ++od) {
      for (std::int64_t oh = rows.begin; oh < rows.end; ++oh) {
        for (std::int64_t ow = columns.begin; ow < columns.end; ++ow) {
          sum += share(p, od * h.output + oh, ow, dy, y, x ? x[i] : 0.0f);
        }
      }
    }
    dx[i] = static_cast<float>(sum);
  }
}

}  // namespace

extern const PoolKernels pool_kernels = {
    .forward = forward,
    .backward = backward,
};

}  // namespace dip::cpu::DIP_ISA
