// Max pooling on the GPU: one window a thread, its taps compared in order, so ties fall out as on the CPU.
#include "cuda/half.h"
#include "cuda/window.h"
#include "ops/max_pool/max_pool.h"

namespace dip::cuda {
namespace {

// Windows of `size` × `size` taps are read as a whole before the first comparison; those of any other size, 0, tap by
// tap.
template <class Index, int size>
__global__ void max_pool_kernel(WindowOf<Index> p, Index count, Reals x, RealResults y, std::int32_t* indices) {
  for (Index i = static_cast<Index>(first_element()); i < count; i += static_cast<Index>(element_step())) {
    const Index ow = i % p.w.output, oh = i / p.w.output % p.h.output;
    const Index plane = i / p.w.output / p.h.output * p.h.input * p.w.input;
    // Where a tap lies in its plane; −1: outside.
    const auto place = [&](Index r, Index s) {
      const Index ih = oh * p.h.stride + r * p.h.dilation - p.h.pad_start;
      const Index iw = ow * p.w.stride + s * p.w.dilation - p.w.pad_start;
      const bool inside = ih >= 0 && ih < p.h.input && iw >= 0 && iw < p.w.input;
      return inside ? ih * p.w.input + iw : Index{-1};
    };
    float best = -INFINITY;
    Index at = -1;
    const auto compare = [&](Index tap, float value) {
      // The first maximum wins; the first NaN wins over every number; a window of −∞ has its first element.
      if (tap >= 0 && (at < 0 || (!(value <= best) && best == best))) {
        best = value;
        at = tap;
      }
    };
    if constexpr (size > 0) {
      Index taps[size * size];
      float values[size * size];
#pragma unroll
      for (int t = 0; t < size * size; ++t) {
        taps[t] = place(t / size, t % size);
        values[t] = taps[t] >= 0 ? read(x, plane + taps[t]) : 0.0f;
      }
#pragma unroll
      for (int t = 0; t < size * size; ++t) compare(taps[t], values[t]);
    } else {
      for (Index r = 0; r < p.h.kernel; ++r) {
        for (Index s = 0; s < p.w.kernel; ++s) {
          const Index tap = place(r, s);
          if (tap >= 0) compare(tap, read(x, plane + tap));
        }
      }
    }
    write(y, i, best);
    indices[i] = static_cast<std::int32_t>(at);
  }
}

}  // namespace

void max_pool2d_forward(const Window2d& window, std::int64_t planes, Reals x, RealResults y, std::int32_t* indices) {
  const std::int64_t count = planes * window.h.output * window.w.output;
  with_index(fits_32_bits(window, planes * window.h.input * window.w.input + count), [&](auto index) {
    using Index = decltype(index);
    launch_elements(
        kernel_of_size(window, max_pool_kernel<Index, 2>, max_pool_kernel<Index, 3>, max_pool_kernel<Index, 0>), count,
        WindowOf<Index>(window), static_cast<Index>(count), x, y, indices);
  });
}

}  // namespace dip::cuda
