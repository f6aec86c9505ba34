// Transposed convolution on the GPU: the gradient of the data, and then bias and activation in place. Numbers of 16
// bits are computed in float32, so that they are rounded once.
#include "cuda/activation.h"
#include "cuda/copy_kernels.h"
#include "ops/conv/conv.h"
#include "ops/conv_transpose/conv_transpose.h"

namespace dip::cuda {
namespace {

__global__ void finish_transposed_kernel(std::int64_t count, std::int64_t plane, std::int64_t channels,
                                         const float* bias, ActivationSpec activation, float* y) {
  for (std::int64_t i = first_element(); i < count; i += element_step()) {
    const float biased = bias ? y[i] + bias[i / plane % channels] : y[i];
    y[i] = activate(biased, activation.kind, activation.alpha);
  }
}

}  // namespace

void conv_transpose2d(const Conv2d& p, Reals x, Reals weight, Reals bias, RealResults y) {
  if (!bias.data && p.activation.kind == Activation::none) return conv2d_backward_data(p, x, weight, y);
  const Widened wide_x(x, p.y_count()), wide_weight(weight, p.weight_count()), wide_bias(bias, p.C);
  const std::int64_t count = p.x_count(), plane = p.window.h.input * p.window.w.input;
  in_float32(y, count, [&](float* result) {
    conv2d_backward_data(p, wide_x.data(), wide_weight.data(), result);
    launch_elements(finish_transposed_kernel, count, count, plane, p.C, wide_bias.data(), p.activation, result);
  });
}

}  // namespace dip::cuda
