#include "ops/conv/cuda/direct.h"

#include "cuda/activation.h"
#include "cuda/long_sum.h"

namespace dip::cuda {
namespace {

__global__ void direct_forward_kernel(Conv2d p, std::int64_t count, const float* x, const float* weight,
                                      const float* bias, float* y) {
  const Axis h = p.window.h, w = p.window.w;
  const std::int64_t channels = p.C / p.groups, filters = p.K / p.groups;
  for (std::int64_t i = first_element(); i < count; i += element_step()) {
    const std::int64_t ow = i % w.output, oh = i / w.output % h.output, k = i / w.output / h.output % p.K;
    const std::int64_t n = i / w.output / h.output / p.K;
    LongSum sum;
    for (std::int64_t c = 0; c < channels; ++c) {
      const float* plane = x + (n * p.C + k / filters * channels + c) * h.input * w.input;
      const float* taps = weight + (k * channels + c) * h.kernel * w.kernel;
      for (std::int64_t r = 0; r < h.kernel; ++r) {
        const std::int64_t ih = oh * h.stride + r * h.dilation - h.pad_start;
        if (ih < 0 || ih >= h.input) continue;
        for (std::int64_t s = 0; s < w.kernel; ++s) {
          const std::int64_t iw = ow * w.stride + s * w.dilation - w.pad_start;
          if (iw >= 0 && iw < w.input) sum.add_product(plane[ih * w.input + iw], taps[r * w.kernel + s]);
        }
      }
    }
    y[i] = activate(sum.total() + (bias ? bias[k] : 0.0f), p.activation.kind, p.activation.alpha);
  }
}

__global__ void direct_backward_data_kernel(Conv2d p, std::int64_t count, const float* dy, const float* weight,
                                            float* dx) {
  const Axis h = p.window.h, w = p.window.w;
  const std::int64_t channels = p.C / p.groups, filters = p.K / p.groups;
  for (std::int64_t i = first_element(); i < count; i += element_step()) {
    const std::int64_t iw = i % w.input, ih = i / w.input % h.input, c = i / w.input / h.input % p.C;
    const std::int64_t n = i / w.input / h.input / p.C, group = c / channels;
    LongSum sum;
    for (std::int64_t k = group * filters; k < (group + 1) * filters; ++k) {
      const float* plane = dy + (n * p.K + k) * h.output * w.output;
      const float* taps = weight + (k * channels + c % channels) * h.kernel * w.kernel;
      for (std::int64_t r = 0; r < h.kernel; ++r) {
        // The window that met this row with tap r, if any did.
        const std::int64_t y = ih + h.pad_start - r * h.dilation;
        if (y < 0 || y % h.stride != 0 || y / h.stride >= h.output) continue;
        for (std::int64_t s = 0; s < w.kernel; ++s) {
          const std::int64_t x = iw + w.pad_start - s * w.dilation;
          if (x < 0 || x % w.stride != 0 || x / w.stride >= w.output) continue;
          sum.add_product(plane[y / h.stride * w.output + x / w.stride], taps[r * w.kernel + s]);
        }
      }
    }
    dx[i] = sum.total();
  }
}

__global__ void direct_backward_weight_kernel(Conv2d p, std::int64_t count, const float* dy, const float* x,
                                              float* dweight) {
  const Axis h = p.window.h, w = p.window.w;
  const std::int64_t channels = p.C / p.groups, filters = p.K / p.groups;
  for (std::int64_t i = first_element(); i < count; i += element_step()) {
    const std::int64_t s = i % w.kernel, r = i / w.kernel % h.kernel, c = i / w.kernel / h.kernel % channels;
    const std::int64_t k = i / w.kernel / h.kernel / channels;
    LongSum sum;
    for (std::int64_t n = 0; n < p.N; ++n) {
      const float* gradients = dy + (n * p.K + k) * h.output * w.output;
      const float* plane = x + (n * p.C + k / filters * channels + c) * h.input * w.input;
      for (std::int64_t oh = 0; oh < h.output; ++oh) {
        const std::int64_t ih = oh * h.stride + r * h.dilation - h.pad_start;
        if (ih < 0 || ih >= h.input) continue;
        for (std::int64_t ow = 0; ow < w.output; ++ow) {
          const std::int64_t iw = ow * w.stride + s * w.dilation - w.pad_start;
          if (iw >= 0 && iw < w.input) sum.add_product(gradients[oh * w.output + ow], plane[ih * w.input + iw]);
        }
      }
    }
    dweight[i] = sum.total();
  }
}

}  // namespace

void conv2d_forward_direct(const Conv2d& p, const float* x, const float* weight, const float* bias, float* y) {
  const std::int64_t count = p.y_count();
  launch_elements(direct_forward_kernel, count, p, count, x, weight, bias, y);
}

void conv2d_backward_data_direct(const Conv2d& p, const float* dy, const float* weight, float* dx) {
  const std::int64_t count = p.x_count();
  launch_elements(direct_backward_data_kernel, count, p, count, dy, weight, dx);
}

void conv2d_backward_weight_direct(const Conv2d& p, const float* dy, const float* x, float* dweight) {
  const std::int64_t count = p.weight_count();
  launch_elements(direct_backward_weight_kernel, count, p, count, dy, x, dweight);
}

}  // namespace dip::cuda
