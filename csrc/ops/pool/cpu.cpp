#include "core/parallel.h"
#include "ops/pool/kernels.h"
#include "ops/pool/pool.h"

namespace dip::cpu {
namespace {

// Runs body(plane) with several small planes a task.
template <class Body>
void for_planes(const Pool2d& p, std::int64_t planes, const Body& body) {
  parallel_ranges(planes, (1 << 14) / (p.window.h.input * p.window.w.input) + 1,
                  [&](std::int64_t begin, std::int64_t end) {
                    for (std::int64_t i = begin; i < end; ++i) body(i);
                  });
}

}  // namespace

void pool2d_forward(const Pool2d& p, std::int64_t planes, const float* x, float* y) {
  const std::int64_t in = p.window.h.input * p.window.w.input, out = p.window.h.output * p.window.w.output;
  for_planes(p, planes, [&](std::int64_t i) { pool_kernels().forward(p, x + i * in, y + i * out); });
}

void pool2d_backward(const Pool2d& p, std::int64_t planes, const float* dy, const float* x, const float* y, float* dx) {
  const std::int64_t in = p.window.h.input * p.window.w.input, out = p.window.h.output * p.window.w.output;
  for_planes(p, planes, [&](std::int64_t i) {
    pool_kernels().backward(p, dy + i * out, x ? x + i * in : nullptr, y ? y + i * out : nullptr, dx + i * in);
  });
}

}  // namespace dip::cpu
