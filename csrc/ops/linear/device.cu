// Linear layers on the GPU, the direct kernels: one result a thread, every sum in a fixed order.
#include "core/scalar_math.h"
#include "ops/linear/linear.h"

namespace dip::cuda {
namespace {

__global__ void forward_kernel(Linear p, const float* x, const float* weight, const float* bias, float* y) {
  for (std::int64_t i = first_element(); i < p.N * p.out; i += element_step()) {
    const std::int64_t n = i / p.out, o = i % p.out;
    float sum = 0.0f;
    for (std::int64_t k = 0; k < p.in; ++k) sum = fmaf(x[n * p.in + k], weight[o * p.in + k], sum);
    y[i] = activate(bias ? sum + bias[o] : sum, p.activation.kind, p.activation.alpha);
  }
}

__global__ void backward_data_kernel(Linear p, const float* dy, const float* weight, float* dx) {
  for (std::int64_t i = first_element(); i < p.N * p.in; i += element_step()) {
    const std::int64_t n = i / p.in, k = i % p.in;
    float sum = 0.0f;
    for (std::int64_t o = 0; o < p.out; ++o) sum = fmaf(dy[n * p.out + o], weight[o * p.in + k], sum);
    dx[i] = sum;
  }
}

__global__ void backward_weight_kernel(Linear p, const float* dy, const float* x, float* dweight) {
  for (std::int64_t i = first_element(); i < p.out * p.in; i += element_step()) {
    const std::int64_t o = i / p.in, k = i % p.in;
    float sum = 0.0f;
    for (std::int64_t n = 0; n < p.N; ++n) sum = fmaf(dy[n * p.out + o], x[n * p.in + k], sum);
    dweight[i] = sum;
  }
}

__global__ void backward_bias_kernel(Linear p, const float* dy, float* dbias) {
  for (std::int64_t o = first_element(); o < p.out; o += element_step()) {
    double sum = 0.0;
    for (std::int64_t n = 0; n < p.N; ++n) sum += dy[n * p.out + o];
    dbias[o] = static_cast<float>(sum);
  }
}

}  // namespace

void linear_forward(const Linear& p, const float* x, const float* weight, const float* bias, float* y) {
  launch_elements(forward_kernel, p.N * p.out, p, x, weight, bias, y);
}

void linear_backward_data(const Linear& p, const float* dy, const float* weight, float* dx) {
  launch_elements(backward_data_kernel, p.N * p.in, p, dy, weight, dx);
}

void linear_backward_weight(const Linear& p, const float* dy, const float* x, float* dweight) {
  launch_elements(backward_weight_kernel, p.out * p.in, p, dy, x, dweight);
}

void linear_backward_bias(const Linear& p, const float* dy, float* dbias) {
  launch_elements(backward_bias_kernel, p.out, p, dy, dbias);
}

}  // namespace dip::cuda
