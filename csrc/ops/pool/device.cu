// Average, sum and L2 pooling on the GPU: one result a thread. Backward gathers what the windows over an element give
// it.
#include "cuda/half.h"
#include "cuda/long_sum.h"
#include "cuda/window.h"
#include "ops/pool/pool.h"

namespace dip::cuda {
namespace {

template <class Index>
struct Pool {
  WindowOf<Index> window;
  Pooling kind;
  bool divides_by_all;
  // Where the places end that count: with the input, or with the padding behind it; and where they begin.
  Index end_h, end_w;
  bool count_include_pad;

  explicit Pool(const Pool2d& p)
      : window(p.window),
        kind(p.kind),
        divides_by_all(p.divides_by_all),
        end_h(static_cast<Index>(p.window.h.input + (p.count_include_pad ? p.window.h.pad_end : 0))),
        end_w(static_cast<Index>(p.window.w.input + (p.count_include_pad ? p.window.w.pad_end : 0))),
        count_include_pad(p.count_include_pad) {}
};

// How many places of a window count.
template <class Index>
__device__ Index counted(const AxisOf<Index>& axis, Index output, Index limit, bool padding_too) {
  const Index start = output * axis.stride - axis.pad_start, end = start + axis.kernel;
  return (end < limit ? end : limit) - (start > 0 || padding_too ? start : 0);
}

// What one window's sum is divided by.
template <class Index>
__device__ float divisor(const Pool<Index>& p, Index oh, Index ow) {
  if (p.kind != Pooling::average) return 1.0f;
  if (p.divides_by_all) return static_cast<float>(p.window.h.kernel * p.window.w.kernel);
  return static_cast<float>(counted(p.window.h, oh, p.end_h, p.count_include_pad) *
                            counted(p.window.w, ow, p.end_w, p.count_include_pad));
}

// Windows of `size` × `size` taps are read as a whole before the first sum; those of any other size, 0, tap by tap.
template <class Index, int size>
__global__ void avg_pool_kernel(Pool<Index> p, Index count, Reals x, RealResults y) {
  const AxisOf<Index> h = p.window.h, w = p.window.w;
  for (Index i = static_cast<Index>(first_element()); i < count; i += static_cast<Index>(element_step())) {
    const Index ow = i % w.output, oh = i / w.output % h.output;
    const Index plane = i / w.output / h.output * h.input * w.input;
    const auto read = [&](Index r, Index s) {
      const Index ih = oh * h.stride + r * h.dilation - h.pad_start, iw = ow * w.stride + s * w.dilation - w.pad_start;
      return ih >= 0 && ih < h.input && iw >= 0 && iw < w.input ? cuda::read(x, plane + ih * w.input + iw) : 0.0f;
    };
    const bool squares = p.kind == Pooling::l2;
    float sum = 0.0f;
    if constexpr (size > 0) {
      float values[size * size];
#pragma unroll
      for (int t = 0; t < size * size; ++t) values[t] = read(t / size, t % size);
#pragma unroll
      for (int t = 0; t < size * size; ++t) sum = fmaf(squares ? values[t] : 1.0f, values[t], sum);
    } else {
      LongSum long_sum;
      for (Index r = 0; r < h.kernel; ++r) {
        for (Index s = 0; s < w.kernel; ++s) {
          const float value = read(r, s);
          long_sum.add_product(squares ? value : 1.0f, value);
        }
      }
      sum = long_sum.total();
    }
    write(y, i, p.kind == Pooling::l2 ? sqrtf(sum) : sum / divisor(p, oh, ow));
  }
}

template <class Index>
__global__ void avg_pool_backward_kernel(Pool<Index> p, Index count, Reals dy, Reals x, Reals y, RealResults dx) {
  const AxisOf<Index> h = p.window.h, w = p.window.w;
  for (Index i = static_cast<Index>(first_element()); i < count; i += static_cast<Index>(element_step())) {
    const Index iw = i % w.input, ih = i / w.input % h.input, plane = i / w.input / h.input;
    LongSum sum;
    for (Index r = h.kernel - 1; r >= 0; --r) {
      const Index top = ih + h.pad_start - r * h.dilation;
      if (top < 0 || top % h.stride != 0 || top / h.stride >= h.output) continue;
      for (Index s = w.kernel - 1; s >= 0; --s) {
        const Index left = iw + w.pad_start - s * w.dilation;
        if (left < 0 || left % w.stride != 0 || left / w.stride >= w.output) continue;
        const Index oh = top / h.stride, ow = left / w.stride;
        const Index o = (plane * h.output + oh) * w.output + ow;
        if (p.kind == Pooling::l2) {
          // d‖x‖/dx = x/‖x‖; at ‖x‖ = 0 the subgradient 0.
          const float norm = read(y, o);
          if (norm != 0.0f) sum.add(read(dy, o) * (read(x, i) / norm));
        } else {
          sum.add(read(dy, o) / divisor(p, oh, ow));
        }
      }
    }
    write(dx, i, sum.total());
  }
}

bool fits_32_bits(const Pool2d& p, std::int64_t planes) {
  const Axis &h = p.window.h, &w = p.window.w;
  return dip::cuda::fits_32_bits(p.window, planes * (h.input * w.input + h.output * w.output));
}

}  // namespace

void pool2d_forward(const Pool2d& p, std::int64_t planes, Reals x, RealResults y) {
  const std::int64_t count = planes * p.window.h.output * p.window.w.output;
  with_index(fits_32_bits(p, planes), [&](auto index) {
    using Index = decltype(index);
    launch_elements(
        kernel_of_size(p.window, avg_pool_kernel<Index, 2>, avg_pool_kernel<Index, 3>, avg_pool_kernel<Index, 0>),
        count, Pool<Index>(p), static_cast<Index>(count), x, y);
  });
}

void pool2d_backward(const Pool2d& p, std::int64_t planes, Reals dy, Reals x, Reals y, RealResults dx) {
  const std::int64_t count = planes * p.window.h.input * p.window.w.input;
  with_index(fits_32_bits(p, planes), [&](auto index) {
    using Index = decltype(index);
    launch_elements(avg_pool_backward_kernel<Index>, count, Pool<Index>(p), static_cast<Index>(count), dy, x, y, dx);
  });
}

}  // namespace dip::cuda
