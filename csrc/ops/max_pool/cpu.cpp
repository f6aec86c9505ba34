#include "cpu/parallel.h"
#include "ops/max_pool/kernels.h"
#include "ops/max_pool/max_pool.h"

namespace dip::cpu {

void max_pool2d_forward(const Window2d& window, std::int64_t planes, const float* x, float* y, std::int32_t* indices) {
  const std::int64_t in = window.h.input * window.w.input, out = window.h.output * window.w.output;
  parallel_planes(planes, in, [&](std::int64_t i) {
    max_pool_kernels().plane(window, x + i * in, y + i * out, indices + i * out);
  });
}

}  // namespace dip::cpu
