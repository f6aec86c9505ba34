// The numbers of a window in the 32 bits that offsets have.
#pragma once

#include "core/axis.h"

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

}  // namespace dip::cuda
