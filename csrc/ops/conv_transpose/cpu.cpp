#include "cpu/parallel.h"
#include "ops/conv/conv.h"
#include "ops/conv_transpose/conv_transpose.h"
#include "ops/conv_transpose/kernels.h"

namespace dip::cpu {

void conv_transpose2d(const Conv2d& p, Reals x, Reals weight, Reals bias, RealResults y) {
  conv2d_backward_data(p, x, weight, y);
  if (!bias && p.activation.kind == Activation::none) return;
  const std::int64_t plane = p.window.h.input * p.window.w.input;
  parallel_planes(p.N * p.C, plane, [&](std::int64_t i) {
    conv_transpose_kernels().finish(y + i * plane, plane, bias ? bias[i % p.C] : 0.0f, p.activation);
  });
}

}  // namespace dip::cpu
