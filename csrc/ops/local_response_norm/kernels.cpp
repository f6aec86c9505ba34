// Local response normalisation on the CPU, compiled once for each instruction set: lanes are neighbouring positions,
// and the sum over a window of channels is taken anew for each, so that no error is carried from one to the next.
#include "ops/local_response_norm/kernels.h"

#include "cpu/simd_math.h"

namespace dip::cpu::DIP_ISA {
namespace {

std::int64_t at_least_zero(std::int64_t c) {
  return c > 0 ? c : 0;
}
std::int64_t at_most(std::int64_t c, std::int64_t last) {
  return c < last ? c : last;
}

// s_c, for the n positions from x.
F sum_of_window(const LocalResponseNorm& p, const float* x, std::int64_t c, std::int64_t n) {
  LongSum sum;
  const std::int64_t last = at_most(c + p.after, p.C - 1);
  for (std::int64_t i = at_least_zero(c - p.before); i <= last; ++i) {
    const F v = load_some(x + i * p.inner, n);
    sum.add(v * v);
  }
  return p.k + p.alpha_of_one * sum.total();
}

void forward(const LocalResponseNorm& p, const float* x, float* y, std::int64_t begin, std::int64_t end) {
  for (std::int64_t i = begin; i < end;) {
    const std::int64_t at = i / p.inner * p.C * p.inner + i % p.inner, n = p.inner == 1 ? 1 : lanes_at(i, end);
    for (std::int64_t c = 0; c < p.C; ++c) {
      const F s = sum_of_window(p, x + at, c, n);
      store_some(y + at + c * p.inner, load_some(x + at + c * p.inner, n) * exp(-p.beta * log(s)), n);
    }
    i += n;
  }
}

void backward(const LocalResponseNorm& p, const float* dy, const float* x, float* dx, float* scratch,
              std::int64_t begin, std::int64_t end) {
  const float factor = 2.0f * p.alpha_of_one * p.beta;
  for (std::int64_t i = begin; i < end;) {
    const std::int64_t at = i / p.inner * p.C * p.inner + i % p.inner, n = p.inner == 1 ? 1 : lanes_at(i, end);
    for (std::int64_t c = 0; c < p.C; ++c) {
      const std::int64_t here = at + c * p.inner;
      const F s = sum_of_window(p, x + at, c, n);
      const F slope = load_some(dy + here, n) * exp(-p.beta * log(s));
      store(scratch + c * W, slope * load_some(x + here, n) / s);
      store_some(dx + here, slope, n);
    }
    for (std::int64_t c = 0; c < p.C; ++c) {
      LongSum sum;
      const std::int64_t last = at_most(c + p.before, p.C - 1);
      for (std::int64_t j = at_least_zero(c - p.after); j <= last; ++j) sum.add(load(scratch + j * W));
      const std::int64_t here = at + c * p.inner;
      store_some(dx + here, load_some(dx + here, n) - factor * load_some(x + here, n) * sum.total(), n);
    }
    i += n;
  }
}

}  // namespace

extern const LocalResponseNormKernels local_response_norm_kernels = {.forward = forward, .backward = backward};

}  // namespace dip::cpu::DIP_ISA
