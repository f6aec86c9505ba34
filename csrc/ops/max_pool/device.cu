// Max pooling on the GPU: one window a thread, its taps compared in order, so ties fall out as on the CPU.
#include "core/device.h"
#include "ops/max_pool/max_pool.h"

namespace dip::cuda {
namespace {

__global__ void forward_kernel(Window2d p, std::int64_t count, const float* x, float* y, std::int32_t* indices) {
  for (std::int64_t i = first_element(); i < count; i += element_step()) {
    const std::int64_t ow = i % p.w.output, oh = i / p.w.output % p.h.output;
    const float* plane = x + i / p.w.output / p.h.output * p.h.input * p.w.input;
    float best = -INFINITY;
    std::int64_t at = -1;
    for (std::int64_t r = 0; r < p.h.kernel; ++r) {
      const std::int64_t ih = oh * p.h.stride + r * p.h.dilation - p.h.pad_start;
      if (ih < 0 || ih >= p.h.input) continue;
      for (std::int64_t s = 0; s < p.w.kernel; ++s) {
        const std::int64_t iw = ow * p.w.stride + s * p.w.dilation - p.w.pad_start;
        if (iw < 0 || iw >= p.w.input) continue;
        const float value = plane[ih * p.w.input + iw];
        // The first maximum wins; the first NaN wins over every number; a window of −∞ has its first element.
        if (at < 0 || (!(value <= best) && best == best)) {
          best = value;
          at = ih * p.w.input + iw;
        }
      }
    }
    y[i] = best;
    indices[i] = static_cast<std::int32_t>(at);
  }
}

}  // namespace

void max_pool2d_forward(const Window2d& window, std::int64_t planes, const float* x, float* y, std::int32_t* indices) {
  const std::int64_t count = planes * window.h.output * window.w.output;
  launch_elements(forward_kernel, count, window, count, x, y, indices);
}

}  // namespace dip::cuda
