// Softmax on the GPU: three passes over a position's classes, of which the last two find them in the cache.
#include "core/device_class_axis.h"
#include "ops/softmax/softmax.h"

namespace dip::cuda {
namespace {

template <class Lanes>
__global__ void forward_kernel(Softmax p, const float* x, float* y) {
  for (std::int64_t i = first_position<Lanes>(); i < p.outer * p.inner; i += position_step<Lanes>()) {
    const std::int64_t at = i / p.inner * p.classes * p.inner + i % p.inner;
    float maximum = -INFINITY, sum = 0.0f;
    for (std::int64_t c = Lanes::first(); c < p.classes; c += Lanes::count) {
      const float value = x[at + c * p.inner];
      maximum = value > maximum ? value : maximum;
    }
    maximum = Lanes::maximum(maximum);
    for (std::int64_t c = Lanes::first(); c < p.classes; c += Lanes::count) sum += expf(x[at + c * p.inner] - maximum);
    sum = Lanes::sum(sum);
    const float shift = p.logarithm ? logf(sum) : 0.0f;
    for (std::int64_t c = Lanes::first(); c < p.classes; c += Lanes::count) {
      const float shifted = x[at + c * p.inner] - maximum;
      y[at + c * p.inner] = p.logarithm ? shifted - shift : expf(shifted) / sum;
    }
  }
}

template <class Lanes>
__global__ void backward_kernel(Softmax p, const float* dy, const float* y, float* dx) {
  for (std::int64_t i = first_position<Lanes>(); i < p.outer * p.inner; i += position_step<Lanes>()) {
    const std::int64_t at = i / p.inner * p.classes * p.inner + i % p.inner;
    float sum = 0.0f;
    for (std::int64_t c = Lanes::first(); c < p.classes; c += Lanes::count) {
      const std::int64_t j = at + c * p.inner;
      sum += p.logarithm ? dy[j] : dy[j] * y[j];
    }
    sum = Lanes::sum(sum);
    for (std::int64_t c = Lanes::first(); c < p.classes; c += Lanes::count) {
      const std::int64_t j = at + c * p.inner;
      dx[j] = p.logarithm ? dy[j] - expf(y[j]) * sum : y[j] * (dy[j] - sum);
    }
  }
}

}  // namespace

void softmax_forward(const Softmax& p, const float* x, float* y) {
  launch_positions(forward_kernel<ThreadLanes>, forward_kernel<WarpLanes>, p.outer, p.inner, p, x, y);
}

void softmax_backward(const Softmax& p, const float* dy, const float* y, float* dx) {
  launch_positions(backward_kernel<ThreadLanes>, backward_kernel<WarpLanes>, p.outer, p.inner, p, dy, y, dx);
}

}  // namespace dip::cuda
