// Average, sum and L2 pooling on the GPU: one result a thread. Backward gathers what the windows over an element give
// it.
#include "core/device.h"
#include "ops/pool/pool.h"

namespace dip::cuda {
namespace {

__device__ inline std::int64_t taps_inside(const Axis& axis, std::int64_t output) {
  std::int64_t inside = 0;
  for (std::int64_t t = 0; t < axis.kernel; ++t) {
    const std::int64_t position = output * axis.stride + t * axis.dilation - axis.pad_start;
    inside += position >= 0 && position < axis.input;
  }
  return inside;
}

// What one window's sum is divided by.
__device__ inline float divisor(const Pool2d& p, std::int64_t oh, std::int64_t ow) {
  if (p.kind != Pooling::average) return 1.0f;
  if (p.count_include_pad) return static_cast<float>(p.window.h.kernel * p.window.w.kernel);
  return static_cast<float>(taps_inside(p.window.h, oh) * taps_inside(p.window.w, ow));
}

__global__ void forward_kernel(Pool2d p, std::int64_t count, const float* x, float* y) {
  const Axis h = p.window.h, w = p.window.w;
  for (std::int64_t i = first_element(); i < count; i += element_step()) {
    const std::int64_t ow = i % w.output, oh = i / w.output % h.output;
    const float* plane = x + i / w.output / h.output * h.input * w.input;
    float sum = 0.0f;
    for (std::int64_t r = 0; r < h.kernel; ++r) {
      const std::int64_t ih = oh * h.stride + r * h.dilation - h.pad_start;
      if (ih < 0 || ih >= h.input) continue;
      for (std::int64_t s = 0; s < w.kernel; ++s) {
        const std::int64_t iw = ow * w.stride + s * w.dilation - w.pad_start;
        if (iw < 0 || iw >= w.input) continue;
        const float value = plane[ih * w.input + iw];
        sum += p.kind == Pooling::l2 ? value * value : value;
      }
    }
    y[i] = p.kind == Pooling::l2 ? sqrtf(sum) : sum / divisor(p, oh, ow);
  }
}

__global__ void backward_kernel(Pool2d p, std::int64_t count, const float* dy, const float* x, const float* y,
                                float* dx) {
  const Axis h = p.window.h, w = p.window.w;
  for (std::int64_t i = first_element(); i < count; i += element_step()) {
    const std::int64_t iw = i % w.input, ih = i / w.input % h.input, plane = i / w.input / h.input;
    float sum = 0.0f;
    for (std::int64_t r = h.kernel - 1; r >= 0; --r) {
      const std::int64_t top = ih + h.pad_start - r * h.dilation;
      if (top < 0 || top % h.stride != 0 || top / h.stride >= h.output) continue;
      for (std::int64_t s = w.kernel - 1; s >= 0; --s) {
        const std::int64_t left = iw + w.pad_start - s * w.dilation;
        if (left < 0 || left % w.stride != 0 || left / w.stride >= w.output) continue;
        const std::int64_t oh = top / h.stride, ow = left / w.stride;
        const std::int64_t o = (plane * h.output + oh) * w.output + ow;
        if (p.kind == Pooling::l2) {
          // d‖x‖/dx = x/‖x‖; at ‖x‖ = 0 the subgradient 0.
          if (y[o] != 0.0f) sum += dy[o] * (x[i] / y[o]);
        } else {
          sum += dy[o] / divisor(p, oh, ow);
        }
      }
    }
    dx[i] = sum;
  }
}

}  // namespace

void pool2d_forward(const Pool2d& p, std::int64_t planes, const float* x, float* y) {
  const std::int64_t count = planes * p.window.h.output * p.window.w.output;
  launch_elements(forward_kernel, count, p, count, x, y);
}

void pool2d_backward(const Pool2d& p, std::int64_t planes, const float* dy, const float* x, const float* y, float* dx) {
  const std::int64_t count = planes * p.window.h.input * p.window.w.input;
  launch_elements(backward_kernel, count, p, count, dy, x, y, dx);
}

}  // namespace dip::cuda
