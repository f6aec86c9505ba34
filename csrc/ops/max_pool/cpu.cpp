#include "cpu/parallel.h"
#include "ops/max_pool/kernels.h"
#include "ops/max_pool/max_pool.h"
#include "ops/pool/cpu/rows.h"

namespace dip::cpu {

void max_pool_forward(const Window3d& given, std::int64_t channels, const float* x, float* y, std::int32_t* indices) {
  const Window3d window = with_rows_joined(given);
  const std::int64_t in = window.input(), out = window.output();
  parallel_planes(channels, in, [&](std::int64_t i) {
    max_pool_kernels().volume(window, x + i * in, y + i * out, indices + i * out);
  });
}

}  // namespace dip::cpu
