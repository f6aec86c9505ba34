// Max pooling on the GPU: one window a thread, its taps compared in order, so ties fall out as on the CPU.
#include "cuda/half.h"
#include "cuda/window.h"
#include "ops/max_pool/max_pool.h"

namespace dip::cuda {
namespace {

// Windows of `size` × `size` taps are read as a whole before the first comparison; those of any other size, 0, tap by
// tap.
template <class Window, int size>
__global__ void max_pool_kernel(Window p, typename Window::Index count, Reals x, RealResults y, std::int32_t* indices) {
  using Index = typename Window::Index;
  for (Index i = static_cast<Index>(first_element()); i < count; i += static_cast<Index>(element_step())) {
    const ElementPlace<Index> of = place_of(i, p.output_frames(), p.h.output, p.w.output);
    const Index channel = of.channel * p.frames() * p.h.input * p.w.input;
    // Where a tap lies in its frame; −1: outside.
    const auto place = [&](Index r, Index s) {
      const Index ih = of.row * p.h.stride + r * p.h.dilation - p.h.pad_start;
      const Index iw = of.column * p.w.stride + s * p.w.dilation - p.w.pad_start;
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
        values[t] = taps[t] >= 0 ? read(x, channel + taps[t]) : 0.0f;
      }
#pragma unroll
      for (int t = 0; t < size * size; ++t) compare(taps[t], values[t]);
    } else {
      for (Index t = 0; t < p.frame_taps(); ++t) {
        const Index frame = p.frame(of.frame, t);
        for (Index r = 0; frame >= 0 && r < p.h.kernel; ++r) {
          for (Index s = 0; s < p.w.kernel; ++s) {
            const Index in_frame = place(r, s), tap = frame * p.h.input * p.w.input + in_frame;
            if (in_frame >= 0) compare(tap, read(x, channel + tap));
          }
        }
      }
    }
    write(y, i, best);
    indices[i] = static_cast<std::int32_t>(at);
  }
}

}  // namespace

void max_pool_forward(const Window3d& window, std::int64_t channels, Reals x, RealResults y, std::int32_t* indices) {
  const std::int64_t count = channels * window.output();
  with_window(window, channels * window.input() + count, [&](const auto& p) {
    using Window = std::decay_t<decltype(p)>;
    using Index = typename Window::Index;
    auto* kernel = max_pool_kernel<Window, 0>;
    if constexpr (!Window::is_3d) {
      kernel = kernel_of_size(window, max_pool_kernel<Window, 2>, max_pool_kernel<Window, 3>, kernel);
    }
    launch_elements(kernel, count, p, static_cast<Index>(count), x, y, indices);
  });
}

}  // namespace dip::cuda
