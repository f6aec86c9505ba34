// The numbers of a window in the 32 bits that offsets have.
#pragma once

#include "core/axis.h"
#include "cuda/device.h"

namespace dip::cuda {

struct Geometry {
  int kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, in_h, in_w, out_h, out_w;

  explicit Geometry(const Window2d& window)
      : kernel_h(int(window.h.kernel)),
        kernel_w(int(window.w.kernel)),
        stride_h(int(window.h.stride)),
        stride_w(int(window.w.stride)),
        pad_h(int(window.h.pad_start)),
        pad_w(int(window.w.pad_start)),
        dilation_h(int(window.h.dilation)),
        dilation_w(int(window.w.dilation)),
        in_h(int(window.h.input)),
        in_w(int(window.w.input)),
        out_h(int(window.h.output)),
        out_w(int(window.w.output)) {}
};

// sum += what the windows that meet an element of x give it by one plane of dy and its weights.
template <class Number>
__device__ void add_windows_over(const Geometry& p, int ih, int iw, const Number* gradients, const Number* weights,
                                 float& sum) {
  for (int r = 0; r < p.kernel_h; ++r) {
    const int top = ih + p.pad_h - r * p.dilation_h, oh = top / p.stride_h;
    if (top < 0 || oh * p.stride_h != top || oh >= p.out_h) continue;
    for (int s = 0; s < p.kernel_w; ++s) {
      const int left = iw + p.pad_w - s * p.dilation_w, ow = left / p.stride_w;
      if (left < 0 || ow * p.stride_w != left || ow >= p.out_w) continue;
      sum = fmaf(gradients[oh * p.out_w + ow].widen(), weights[r * p.kernel_w + s].widen(), sum);
    }
  }
}

}  // namespace dip::cuda
