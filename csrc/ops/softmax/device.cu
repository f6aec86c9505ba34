// Softmax on the GPU: one position a thread, three passes over its classes.
#include "core/device.h"
#include "ops/softmax/softmax.h"

namespace dip::cuda {
namespace {

__global__ void forward_kernel(Softmax p, const float* x, float* y) {
  for (std::int64_t i = first_element(); i < p.outer * p.inner; i += element_step()) {
    const std::int64_t at = i / p.inner * p.classes * p.inner + i % p.inner;
    float maximum = -INFINITY, sum = 0.0f;
    for (std::int64_t c = 0; c < p.classes; ++c) {
      const float value = x[at + c * p.inner];
      maximum = value > maximum ? value : maximum;
    }
    for (std::int64_t c = 0; c < p.classes; ++c) sum += expf(x[at + c * p.inner] - maximum);
    const float shift = p.logarithm ? logf(sum) : 0.0f;
    for (std::int64_t c = 0; c < p.classes; ++c) {
      const float shifted = x[at + c * p.inner] - maximum;
      y[at + c * p.inner] = p.logarithm ? shifted - shift : expf(shifted) / sum;
    }
  }
}

__global__ void backward_kernel(Softmax p, const float* dy, const float* y, float* dx) {
  for (std::int64_t i = first_element(); i < p.outer * p.inner; i += element_step()) {
    const std::int64_t at = i / p.inner * p.classes * p.inner + i % p.inner;
    float sum = 0.0f;
    for (std::int64_t c = 0; c < p.classes; ++c) {
      const std::int64_t j = at + c * p.inner;
      sum += p.logarithm ? dy[j] : dy[j] * y[j];
    }
    for (std::int64_t c = 0; c < p.classes; ++c) {
      const std::int64_t j = at + c * p.inner;
      dx[j] = p.logarithm ? dy[j] - expf(y[j]) * sum : y[j] * (dy[j] - sum);
    }
  }
}

}  // namespace

void softmax_forward(const Softmax& p, const float* x, float* y) {
  launch_elements(forward_kernel, p.outer * p.inner, p, x, y);
}

void softmax_backward(const Softmax& p, const float* dy, const float* y, float* dx) {
  launch_elements(backward_kernel, p.outer * p.inner, p, dy, y, dx);
}

}  // namespace dip::cuda
