#include "cpu/parallel.h"
#include "ops/pool/kernels.h"
#include "ops/pool/pool.h"

namespace dip::cpu {
void pool2d_forward(const Pool2d& p, std::int64_t planes, const float* x, float* y) {
  const std::int64_t in = p.window.h.input * p.window.w.input, out = p.window.h.output * p.window.w.output;
  parallel_planes(planes, in, [&](std::int64_t i) { pool_kernels().forward(p, x + i * in, y + i * out); });
}

void pool2d_backward(const Pool2d& p, std::int64_t planes, const float* dy, const float* x, const float* y, float* dx) {
  const std::int64_t in = p.window.h.input * p.window.w.input, out = p.window.h.output * p.window.w.output;
  parallel_planes(planes, in, [&](std::int64_t i) {
    pool_kernels().backward(p, dy + i * out, x ? x + i * in : nullptr, y ? y + i * out : nullptr, dx + i * in);
  });
}

}  // namespace dip::cpu
