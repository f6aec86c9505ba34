// Max pooling on the GPU: one window a thread, its taps compared in order, so ties fall out as on the CPU.
#include "core/device_window.h"
#include "ops/max_pool/max_pool.h"

namespace dip::cuda {
namespace {

template <class Index>
__global__ void forward_kernel(WindowOf<Index> p, Index count, const float* x, float* y, std::int32_t* indices) {
  for (Index i = static_cast<Index>(first_element()); i < count; i += static_cast<Index>(element_step())) {
    const Index ow = i % p.w.output, oh = i / p.w.output % p.h.output;
    const float* plane = x + i / p.w.output / p.h.output * p.h.input * p.w.input;
    float best = -INFINITY;
    Index at = -1;
    for (Index r = 0; r < p.h.kernel; ++r) {
      const Index ih = oh * p.h.stride + r * p.h.dilation - p.h.pad_start;
      if (ih < 0 || ih >= p.h.input) continue;
      for (Index s = 0; s < p.w.kernel; ++s) {
        const Index iw = ow * p.w.stride + s * p.w.dilation - p.w.pad_start;
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
  with_index(fits_32_bits(window, planes * window.h.input * window.w.input + count), [&](auto index) {
    using Index = decltype(index);
    launch_elements(forward_kernel<Index>, count, WindowOf<Index>(window), static_cast<Index>(count), x, y, indices);
  });
}

}  // namespace dip::cuda
