// Average, sum and L2 pooling on the GPU: one result a thread. Backward gathers what the windows over an element give
// it.
#include "cuda/half.h"
#include "cuda/long_sum.h"
#include "cuda/window.h"
#include "ops/pool/pool.h"

namespace dip::cuda {
namespace {

// A pooling, as kernels take it.
template <class Window_>
struct PoolOf {
  using Window = Window_;
  using Index = typename Window::Index;
  Window window;
  Pooling kind;
  bool divides_by_all;
  // Where the places end that count: with the input, or with the padding behind it; and where they begin.
  Index end_d, end_h, end_w;
  bool count_include_pad;

  PoolOf(const Pool& p, const Window& window_)
      : window(window_),
        kind(p.kind),
        divides_by_all(p.divides_by_all),
        end_d(end_of(p, p.window.d)),
        end_h(end_of(p, p.window.h)),
        end_w(end_of(p, p.window.w)),
        count_include_pad(p.count_include_pad) {}

  static Index end_of(const Pool& p, const Axis& axis) {
    return static_cast<Index>(axis.input + (p.count_include_pad ? axis.pad_end : 0));
  }

  // How many places of a window count.
  __device__ Index counted(const AxisOf<Index>& axis, Index output, Index limit) const {
    const Index start = output * axis.stride - axis.pad_start, end = start + axis.kernel;
    return (end < limit ? end : limit) - (start > 0 || count_include_pad ? start : 0);
  }

  // What one window's sum is divided by.
  __device__ float divisor(Index od, Index oh, Index ow) const {
    if (kind != Pooling::average) return 1.0f;
    if (divides_by_all) return static_cast<float>(window.frame_taps() * window.h.kernel * window.w.kernel);
    const Index in_frame = counted(window.h, oh, end_h) * counted(window.w, ow, end_w);
    if constexpr (Window::is_3d) return static_cast<float>(counted(window.d, od, end_d) * in_frame);
    return static_cast<float>(in_frame);
  }
};

// Windows of `size` × `size` taps are read as a whole before the first sum; those of any other size, 0, tap by tap.
template <class Window, int size>
__global__ void pool_kernel(PoolOf<Window> p, typename Window::Index count, Reals x, RealResults y) {
  using Index = typename Window::Index;
  const AxisOf<Index> h = p.window.h, w = p.window.w;
  for (Index i = static_cast<Index>(first_element()); i < count; i += static_cast<Index>(element_step())) {
    const ElementPlace<Index> of = place_of(i, p.window.output_frames(), h.output, w.output);
    const Index channel = of.channel * p.window.frames() * h.input * w.input;
    const auto read = [&](Index frame, Index r, Index s) {
      const Index ih = of.row * h.stride + r * h.dilation - h.pad_start;
      const Index iw = of.column * w.stride + s * w.dilation - w.pad_start;
      const bool inside = ih >= 0 && ih < h.input && iw >= 0 && iw < w.input;
      return inside ? cuda::read(x, channel + (frame * h.input + ih) * w.input + iw) : 0.0f;
    };
    const bool squares = p.kind == Pooling::l2;
    float sum = 0.0f;
    if constexpr (size > 0) {
      float values[size * size];
#pragma unroll
      for (int t = 0; t < size * size; ++t) values[t] = read(0, t / size, t % size);
#pragma unroll
      for (int t = 0; t < size * size; ++t) sum = fmaf(squares ? values[t] : 1.0f, values[t], sum);
    } else {
      LongSum long_sum;
      for (Index t = 0; t < p.window.frame_taps(); ++t) {
        const Index frame = p.window.frame(of.frame, t);
        for (Index r = 0; frame >= 0 && r < h.kernel; ++r) {
          for (Index s = 0; s < w.kernel; ++s) {
            const float value = read(frame, r, s);
            long_sum.add_product(squares ? value : 1.0f, value);
          }
        }
      }
      sum = long_sum.total();
    }
    write(y, i, squares ? sqrtf(sum) : sum / p.divisor(of.frame, of.row, of.column));
  }
}

// The window along an axis whose tap `tap` meets the input at `at`; −1: none.
template <class Index>
__device__ Index window_at(const AxisOf<Index>& axis, Index at, Index tap) {
  const Index start = at + axis.pad_start - tap * axis.dilation;
  return start >= 0 && start % axis.stride == 0 && start / axis.stride < axis.output ? start / axis.stride : Index{-1};
}

template <class Window>
__global__ void pool_backward_kernel(PoolOf<Window> p, typename Window::Index count, Reals dy, Reals x, Reals y,
                                     RealResults dx) {
  using Index = typename Window::Index;
  const AxisOf<Index> h = p.window.h, w = p.window.w;
  for (Index i = static_cast<Index>(first_element()); i < count; i += static_cast<Index>(element_step())) {
    const ElementPlace<Index> of = place_of(i, p.window.frames(), h.input, w.input);
    LongSum sum;
    for (Index t = p.window.frame_taps() - 1; t >= 0; --t) {
      Index od = 0;
      if constexpr (Window::is_3d) od = window_at(p.window.d, of.frame, t);
      if (od < 0) continue;
      for (Index r = h.kernel - 1; r >= 0; --r) {
        const Index oh = window_at(h, of.row, r);
        if (oh < 0) continue;
        for (Index s = w.kernel - 1; s >= 0; --s) {
          const Index ow = window_at(w, of.column, s);
          if (ow < 0) continue;
          const Index o = ((of.channel * p.window.output_frames() + od) * h.output + oh) * w.output + ow;
          if (p.kind == Pooling::l2) {
            // d‖x‖/dx = x/‖x‖; at ‖x‖ = 0 the subgradient 0.
            const float norm = read(y, o);
            if (norm != 0.0f) sum.add(read(dy, o) * (read(x, i) / norm));
          } else {
            sum.add(read(dy, o) / p.divisor(od, oh, ow));
          }
        }
      }
    }
    write(dx, i, sum.total());
  }
}

std::int64_t both_counts(const Pool& p, std::int64_t channels) {
  return channels * (p.window.input() + p.window.output());
}

}  // namespace

void pool_forward(const Pool& p, std::int64_t channels, Reals x, RealResults y) {
  const std::int64_t count = channels * p.window.output();
  with_window(p.window, both_counts(p, channels), [&](const auto& window) {
    using Window = std::decay_t<decltype(window)>;
    auto* kernel = pool_kernel<Window, 0>;
    if constexpr (!Window::is_3d) {
      kernel = kernel_of_size(p.window, pool_kernel<Window, 2>, pool_kernel<Window, 3>, kernel);
    }
    launch_elements(kernel, count, PoolOf<Window>(p, window), static_cast<typename Window::Index>(count), x, y);
  });
}

void pool_backward(const Pool& p, std::int64_t channels, Reals dy, Reals x, Reals y, RealResults dx) {
  const std::int64_t count = channels * p.window.input();
  with_window(p.window, both_counts(p, channels), [&](const auto& window) {
    using Window = std::decay_t<decltype(window)>;
    launch_elements(pool_backward_kernel<Window>, count, PoolOf<Window>(p, window),
                    static_cast<typename Window::Index>(count), dy, x, y, dx);
  });
}

}  // namespace dip::cuda
