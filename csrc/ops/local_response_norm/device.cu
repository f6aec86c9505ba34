// Local response normalisation on the GPU: one result a thread, which reads its window of channels. Neighbouring
// threads have neighbouring positions.
#include "cuda/half.h"
#include "cuda/long_sum.h"
#include "ops/local_response_norm/local_response_norm.h"

namespace dip::cuda {
namespace {

// Calls body(index) for the channels from c − before to c + after of the position at `at`.
template <class Body>
__device__ void each_neighbour(const LocalResponseNorm& p, std::int64_t at, std::int64_t c, std::int64_t before,
                               std::int64_t after, const Body& body) {
  const std::int64_t first = c > before ? c - before : 0, last = c + after < p.C ? c + after : p.C - 1;
  for (std::int64_t i = first; i <= last; ++i) body(at + i * p.inner);
}

__device__ float sum_of_window(const LocalResponseNorm& p, Reals x, std::int64_t at, std::int64_t c) {
  LongSum sum;
  each_neighbour(p, at, c, p.before, p.after, [&](std::int64_t i) {
    const float v = read(x, i);
    sum.add_product(v, v);
  });
  return p.k + p.alpha_of_one * sum.total();
}

// Element i's channel, and where its position has channel 0.
__device__ std::int64_t channel_of(const LocalResponseNorm& p, std::int64_t i) {
  return i / p.inner % p.C;
}

__global__ void local_response_kernel(LocalResponseNorm p, std::int64_t count, Reals x, RealResults y) {
  for (std::int64_t i = first_element(); i < count; i += element_step()) {
    const std::int64_t c = channel_of(p, i);
    write(y, i, read(x, i) * powf(sum_of_window(p, x, i - c * p.inner, c), -p.beta));
  }
}

// ratio = dy·x·s^(−β − 1)
__global__ void local_response_ratio_kernel(LocalResponseNorm p, std::int64_t count, Reals dy, Reals x, float* ratio) {
  for (std::int64_t i = first_element(); i < count; i += element_step()) {
    const std::int64_t c = channel_of(p, i);
    const float s = sum_of_window(p, x, i - c * p.inner, c);
    ratio[i] = read(dy, i) * powf(s, -p.beta) * read(x, i) / s;
  }
}

__global__ void local_response_backward_kernel(LocalResponseNorm p, std::int64_t count, Reals dy, Reals x,
                                               const float* ratio, RealResults dx) {
  for (std::int64_t i = first_element(); i < count; i += element_step()) {
    const std::int64_t c = channel_of(p, i), at = i - c * p.inner;
    LongSum sum;
    each_neighbour(p, at, c, p.after, p.before, [&](std::int64_t j) { sum.add(ratio[j]); });
    const float slope = read(dy, i) * powf(sum_of_window(p, x, at, c), -p.beta);
    write(dx, i, slope - 2.0f * p.alpha_of_one * p.beta * read(x, i) * sum.total());
  }
}

}  // namespace

void local_response_norm(const LocalResponseNorm& p, Reals x, RealResults y) {
  const std::int64_t count = p.N * p.C * p.inner;
  launch_elements(local_response_kernel, count, p, count, x, y);
}

void local_response_norm_backward(const LocalResponseNorm& p, Reals dy, Reals x, RealResults dx) {
  const std::int64_t count = p.N * p.C * p.inner;
  const DeviceScratch<float> ratio(count);
  launch_elements(local_response_ratio_kernel, count, p, count, dy, x, ratio.data());
  launch_elements(local_response_backward_kernel, count, p, count, dy, x, static_cast<const float*>(ratio.data()), dx);
}

}  // namespace dip::cuda
