// Softmax on the CPU, compiled once for each instruction set. Lanes are neighbouring classes where those are contiguous
// (inner = 1), else neighbouring positions. Subtracting the maximum keeps every exponent at or below zero.
#include "ops/softmax/kernels.h"

#include "cpu/simd_math.h"

namespace dip::cpu::DIP_ISA {
namespace {

void forward_row(std::int64_t classes, bool logarithm, const float* x, float* y) {
  F top = broadcast(-infinity);
  for (std::int64_t c = 0; c < classes; c += W) {
    const std::int64_t n = lanes_at(c, classes);
    top = larger(top, first_only(load_some(x + c, n), n, -infinity));
  }
  const float maximum = horizontal_max(top);
  LongSum sum;
  for (std::int64_t c = 0; c < classes; c += W) {
    const std::int64_t n = lanes_at(c, classes);
    const F e = exp(load_some(x + c, n) - maximum);
    sum.add(first_only(e, n, 0.0f));
    if (!logarithm) store_some(y + c, e, n);
  }
  const float total = horizontal_sum(sum.total());
  const float shift = logarithm ? __builtin_logf(total) : 0.0f;
  for (std::int64_t c = 0; c < classes; c += W) {
    const std::int64_t n = lanes_at(c, classes);
    store_some(y + c, logarithm ? load_some(x + c, n) - maximum - shift : load_some(y + c, n) / total, n);
  }
}

void forward_columns(const Softmax& p, const float* x, float* y, std::int64_t n) {
  F maximum = broadcast(-infinity);
  for (std::int64_t c = 0; c < p.classes; ++c) maximum = larger(maximum, load_some(x + c * p.inner, n));
  LongSum sum;
  for (std::int64_t c = 0; c < p.classes; ++c) {
    const F e = exp(load_some(x + c * p.inner, n) - maximum);
    sum.add(e);
    if (!p.logarithm) store_some(y + c * p.inner, e, n);
  }
  const F total = sum.total();
  F shift = {};
  for (int lane = 0; lane < W && p.logarithm; ++lane) shift[lane] = __builtin_logf(total[lane]);
  for (std::int64_t c = 0; c < p.classes; ++c) {
    const std::int64_t at = c * p.inner;
    store_some(y + at, p.logarithm ? load_some(x + at, n) - maximum - shift : load_some(y + at, n) / total, n);
  }
}

void backward_row(std::int64_t classes, bool logarithm, const float* dy, const float* y, float* dx) {
  LongSum sum;
  for (std::int64_t c = 0; c < classes; c += W) {
    const std::int64_t n = lanes_at(c, classes);
    const F d = load_some(dy + c, n);
    sum.add(logarithm ? d : d * load_some(y + c, n));
  }
  const float total = horizontal_sum(sum.total());
  for (std::int64_t c = 0; c < classes; c += W) {
    const std::int64_t n = lanes_at(c, classes);
    const F d = load_some(dy + c, n), v = load_some(y + c, n);
    store_some(dx + c, logarithm ? d - exp(v) * total : v * (d - total), n);
  }
}

void backward_columns(const Softmax& p, const float* dy, const float* y, float* dx, std::int64_t n) {
  LongSum sum;
  for (std::int64_t c = 0; c < p.classes; ++c) {
    const F d = load_some(dy + c * p.inner, n);
    sum.add(p.logarithm ? d : d * load_some(y + c * p.inner, n));
  }
  const F total = sum.total();
  for (std::int64_t c = 0; c < p.classes; ++c) {
    const F d = load_some(dy + c * p.inner, n), v = load_some(y + c * p.inner, n);
    store_some(dx + c * p.inner, p.logarithm ? d - exp(v) * total : v * (d - total), n);
  }
}

void forward(const Softmax& p, const float* x, float* y, std::int64_t begin, std::int64_t end) {
  if (p.inner == 1) {
    for (std::int64_t i = begin * p.classes; i < end * p.classes; i += p.classes) {
      forward_row(p.classes, p.logarithm, x + i, y + i);
    }
    return;
  }
  for (std::int64_t i = begin; i < end; i += W) {
    const std::int64_t at = i / p.inner * p.classes * p.inner + i % p.inner;
    forward_columns(p, x + at, y + at, lanes_at(i, end));
  }
}

void backward(const Softmax& p, const float* dy, const float* y, float* dx, std::int64_t begin, std::int64_t end) {
  if (p.inner == 1) {
    for (std::int64_t i = begin * p.classes; i < end * p.classes; i += p.classes) {
      backward_row(p.classes, p.logarithm, dy + i, y + i, dx + i);
    }
    return;
  }
  for (std::int64_t i = begin; i < end; i += W) {
    const std::int64_t at = i / p.inner * p.classes * p.inner + i % p.inner;
    backward_columns(p, dy + at, y + at, dx + at, lanes_at(i, end));
  }
}

}  // namespace

extern const SoftmaxKernels softmax_kernels = {
    .forward = forward,
    .backward = backward,
};

}  // namespace dip::cpu::DIP_ISA
