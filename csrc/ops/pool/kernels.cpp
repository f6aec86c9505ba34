// Average, sum and L2 pooling on the CPU, one plane at a time, compiled once for each instruction set.
//
// Memory-bound. Each tap adds a (strided) input row to the output row, which stays in the first-level cache; the taps
// outside the input are skipped by cutting the row, so there is no border case.
#include "ops/pool/kernels.h"

#include "core/simd.h"

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

inline std::int64_t taps_inside(const Axis& axis, std::int64_t output) {
  std::int64_t inside = 0;
  for (std::int64_t t = 0; t < axis.kernel; ++t) {
    const std::int64_t position = output * axis.stride + t * axis.dilation - axis.pad_start;
    inside += position >= 0 && position < axis.input;
  }
  return inside;
}

// What one window's sum is divided by.
inline float divisor(const Pool2d& p, std::int64_t oh, std::int64_t ow) {
  if (p.kind != Pooling::average) return 1.0f;
  if (p.count_include_pad) return static_cast<float>(p.window.h.kernel * p.window.w.kernel);
  return static_cast<float>(taps_inside(p.window.h, oh) * taps_inside(p.window.w, ow));
}

void forward(const Pool2d& p, const float* x, float* y) {
  const Axis &h = p.window.h, &w = p.window.w;
  for (std::int64_t oh = 0; oh < h.output; ++oh) {
    float* out = y + oh * w.output;
    for (std::int64_t ow = 0; ow < w.output; ++ow) out[ow] = 0.0f;
    for (std::int64_t r = 0; r < h.kernel; ++r) {
      const std::int64_t ih = oh * h.stride + r * h.dilation - h.pad_start;
      if (ih < 0 || ih >= h.input) continue;
      for (std::int64_t s = 0; s < w.kernel; ++s) {
        const Reach columns = reach(w, s);
        const float* in = x + ih * w.input + columns.start;
        if (p.kind == Pooling::l2) {
          for (std::int64_t ow = columns.first; ow < columns.last; ++ow) {
            out[ow] += in[ow * w.stride] * in[ow * w.stride];
          }
        } else {
          for (std::int64_t ow = columns.first; ow < columns.last; ++ow) out[ow] += in[ow * w.stride];
        }
      }
    }
    if (p.kind == Pooling::l2) {
      for (std::int64_t ow = 0; ow < w.output; ++ow) out[ow] = __builtin_sqrtf(out[ow]);
    } else if (p.kind == Pooling::average) {
      for (std::int64_t ow = 0; ow < w.output; ++ow) out[ow] /= divisor(p, oh, ow);
    }
  }
}

void backward(const Pool2d& p, const float* dy, const float* x, const float* y, float* dx) {
  const Axis &h = p.window.h, &w = p.window.w;
  for (std::int64_t i = 0; i < h.input * w.input; ++i) dx[i] = 0.0f;
  for (std::int64_t oh = 0; oh < h.output; ++oh) {
    for (std::int64_t r = 0; r < h.kernel; ++r) {
      const std::int64_t ih = oh * h.stride + r * h.dilation - h.pad_start;
      if (ih < 0 || ih >= h.input) continue;
      for (std::int64_t s = 0; s < w.kernel; ++s) {
        const Reach columns = reach(w, s);
        const std::int64_t start = ih * w.input + columns.start;
        for (std::int64_t ow = columns.first; ow < columns.last; ++ow) {
          const std::int64_t o = oh * w.output + ow, i = start + ow * w.stride;
          if (p.kind == Pooling::l2) {
            // d‖x‖/dx = x/‖x‖; at ‖x‖ = 0 the subgradient 0.
            if (y[o] != 0.0f) dx[i] += dy[o] * (x[i] / y[o]);
          } else {
            dx[i] += dy[o] / divisor(p, oh, ow);
          }
        }
      }
    }
  }
}

}  // namespace

extern const PoolKernels pool_kernels = {forward, backward};

}  // namespace dip::cpu::DIP_ISA
