#include "cpu/parallel.h"
#include "cpu/scratch.h"
#include "ops/pool/cpu/rows.h"
#include "ops/pool/kernels.h"
#include "ops/pool/pool.h"

namespace dip::cpu {

void pool_forward(const Pool& pool, std::int64_t channels, const float* x, float* y) {
  Pool p = pool;
  p.window = with_rows_joined(p.window);
  const std::int64_t in = p.window.input(), out = p.window.output();
  parallel_planes(channels, in, [&](std::int64_t i) { pool_kernels().forward(p, x + i * in, y + i * out); });
}

void pool_backward(const Pool& pool, std::int64_t channels, const float* dy, const float* x, const float* y,
                   float* dx) {
  Pool p = pool;
  p.window = with_rows_joined(p.window);
  const std::int64_t in = p.window.input(), out = p.window.output();
  parallel_planes(channels, in, [&](std::int64_t i) {
    static thread_local Scratch scratch;
    pool_kernels().backward(p, dy + i * out, x ? x + i * in : nullptr, y ? y + i * out : nullptr, dx + i * in,
                            scratch.floats(pool_kernels().scratch_numbers(p)));
  });
}

}  // namespace dip::cpu
