#include "cpu/parallel.h"
#include "cpu/scratch.h"
#include "ops/pool/kernels.h"
#include "ops/pool/pool.h"

namespace dip::cpu {
namespace {

// Where windows are as wide as the input, their lines follow each other: a single long line does for all of them.
Pool with_lines_joined(Pool p) {
  Axis &h = p.window.h, &w = p.window.w;
  if (w.pad_start != 0 || w.kernel != w.input || w.output != 1) return p;
  w = {h.input * w.input, h.kernel * w.input, h.stride * w.input, h.pad_start * w.input, h.pad_end * w.input, 1,
       h.output};
  h = {1, 1, 1, 0, 0, 1, 1};
  return p;
}

}  // namespace

void pool_forward(const Pool& pool, std::int64_t channels, const float* x, float* y) {
  const Pool p = with_lines_joined(pool);
  const std::int64_t in = p.window.input(), out = p.window.output();
  parallel_planes(channels, in, [&](std::int64_t i) { pool_kernels().forward(p, x + i * in, y + i * out); });
}

void pool_backward(const Pool& pool, std::int64_t channels, const float* dy, const float* x, const float* y,
                   float* dx) {
  const Pool p = with_lines_joined(pool);
  const std::int64_t in = p.window.input(), out = p.window.output();
  parallel_planes(channels, in, [&](std::int64_t i) {
    static thread_local Scratch scratch;
    pool_kernels().backward(p, dy + i * out, x ? x + i * in : nullptr, y ? y + i * out : nullptr, dx + i * in,
                            scratch.floats(pool_kernels().scratch_numbers(p)));
  });
}

}  // namespace dip::cpu
