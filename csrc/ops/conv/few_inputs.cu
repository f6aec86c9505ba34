// Each thread computes all channels of four positions of x that the same taps meet, a stride apart: a number of dy that
// it reads serves every channel, and a weight all four positions. One launch for all phases of a stride.
#include "ops/conv/few_inputs.h"

#include <algorithm>
#include <numeric>

#include "core/gemm_plan.h"
#include "core/half.h"
#include "ops/conv/direct.h"
#include "ops/conv/geometry_device.h"

namespace dip::cuda {
namespace {

constexpr int strip = 4, filters_together = 16;  // whose sum is made apart, so that its error does not grow

struct FewInputs : Geometry {
  int images, filters;
  int phases_h, phases_w, strips, columns;  // of a phase: strips of positions, and positions of a row
  int tap_step_h, tap_step_w;               // between the taps of a phase
};

// The first tap that meets phase `first` of an axis; beyond the last where none does.
__device__ int first_tap(int first, int pad, int dilation, int stride, int taps) {
  int tap = 0;
  while (tap < taps && (first + pad - tap * dilation) % stride != 0) ++tap;
  return tap;
}

// A sum by definition, for where a zero taken for what is outside dy has met an infinity or NaN.
template <class Number>
__device__ DIP_RARE float sum_of_what_meets(FewInputs p, const Number* dy, const Number* weight, int channels, int ih,
                                            int iw) {
  float sum = 0.0f;
  for (int k = 0; k < p.filters; ++k) {
    for (int r = 0; r < p.kernel_h; ++r) {
      const int top = ih + p.pad_h - r * p.dilation_h;
      if (top < 0 || top % p.stride_h != 0 || top / p.stride_h >= p.out_h) continue;
      for (int s = 0; s < p.kernel_w; ++s) {
        const int left = iw + p.pad_w - s * p.dilation_w;
        if (left < 0 || left % p.stride_w != 0 || left / p.stride_w >= p.out_w) continue;
        sum = fmaf(dy[(k * p.out_h + top / p.stride_h) * p.out_w + left / p.stride_w].widen(),
                   weight[(k * channels * p.kernel_h + r) * p.kernel_w + s].widen(), sum);
      }
    }
  }
  return sum;
}

template <int channels, class Number>
__global__ void __launch_bounds__(threads_per_block, 3)
    few_inputs_kernel(FewInputs p, int count, const Number* dy, const Number* weight, Number* dx) {
  const int taps = p.kernel_h * p.kernel_w, plane = p.out_h * p.out_w;
  for (int i = static_cast<int>(first_element()); i < count; i += static_cast<int>(element_step())) {
    const int column = i % p.columns, row = i / p.columns % p.strips * strip;
    const int phase = i / p.columns / p.strips, phase_w = phase % p.phases_w, phase_h = phase / p.phases_w % p.phases_h;
    const int n = phase / p.phases_w / p.phases_h, iw = phase_w + column * p.stride_w;
    if (iw >= p.in_w) continue;
    const int first_r = first_tap(phase_h, p.pad_h, p.dilation_h, p.stride_h, p.kernel_h);
    const int first_s = first_tap(phase_w, p.pad_w, p.dilation_w, p.stride_w, p.kernel_w);
    const Number* gradients = dy + n * p.filters * plane;
    float totals[channels][strip] = {}, sums[channels][strip] = {};
    for (int k = 0; k < p.filters; ++k) {
      for (int r = first_r; r < p.kernel_h; r += p.tap_step_h) {
        const int oh = (phase_h + p.pad_h - r * p.dilation_h) / p.stride_h + row;  // divisible, as all of the phase
        for (int s = first_s; s < p.kernel_w; s += p.tap_step_w) {
          const int ow = (phase_w + p.pad_w - s * p.dilation_w) / p.stride_w + column;
          const bool inside = static_cast<unsigned>(ow) < static_cast<unsigned>(p.out_w);
          float met[strip];
#pragma unroll
          for (int j = 0; j < strip; ++j) {
            const bool valid = inside && static_cast<unsigned>(oh + j) < static_cast<unsigned>(p.out_h);
            met[j] = valid ? gradients[k * plane + (oh + j) * p.out_w + ow].widen() : 0.0f;
          }
#pragma unroll
          for (int c = 0; c < channels; ++c) {
            const float tap = weight[(k * channels + c) * taps + r * p.kernel_w + s].widen();
#pragma unroll
            for (int j = 0; j < strip; ++j) sums[c][j] = fmaf(met[j], tap, sums[c][j]);
          }
        }
      }
      if (k % filters_together == filters_together - 1) {
#pragma unroll
        for (int c = 0; c < channels; ++c) {
#pragma unroll
          for (int j = 0; j < strip; ++j) {
            totals[c][j] += sums[c][j];
            sums[c][j] = 0.0f;
          }
        }
      }
    }
#pragma unroll
    for (int c = 0; c < channels; ++c) {
#pragma unroll
      for (int j = 0; j < strip; ++j) {
        const int ih = phase_h + (row + j) * p.stride_h;
        if (ih >= p.in_h) continue;
        float sum = totals[c][j] + sums[c][j];
        if (sum != sum) sum = sum_of_what_meets(p, gradients, weight + c * taps, channels, ih, iw);
        dx[((n * channels + c) * p.in_h + ih) * p.in_w + iw] = Number::round(sum);
      }
    }
  }
}

int divide_up(int a, int b) {
  return (a + b - 1) / b;
}

}  // namespace

bool has_few_inputs(const Conv2d& p) {
  return p.groups == 1 && p.C <= 4 && fits_32_bits(p) && may_avoid_tiles();
}

void conv2d_backward_data_few_inputs(const Conv2d& p, Reals dy, Reals weight, RealResults dx) {
  FewInputs few{Geometry(p.window), int(p.N), int(p.K), 0, 0, 0, 0, 0, 0};
  few.phases_h = std::min(few.stride_h, few.in_h);
  few.phases_w = std::min(few.stride_w, few.in_w);
  few.strips = divide_up(divide_up(few.in_h, few.stride_h), strip);
  few.columns = divide_up(few.in_w, few.stride_w);
  few.tap_step_h = few.stride_h / std::gcd(few.stride_h, few.dilation_h);
  few.tap_step_w = few.stride_w / std::gcd(few.stride_w, few.dilation_w);
  const int count = few.images * few.phases_h * few.phases_w * few.strips * few.columns;
  with_number(dy.dtype, [&](auto* null) {
    using Number = std::remove_pointer_t<decltype(null)>;
    const auto run = [&](auto kernel) {
      launch_elements(kernel, count, few, count, static_cast<const Number*>(dy.data),
                      static_cast<const Number*>(weight.data), static_cast<Number*>(dx.data));
    };
    switch (p.C) {
      case 1: return run(few_inputs_kernel<1, Number>);
      case 2: return run(few_inputs_kernel<2, Number>);
      case 3: return run(few_inputs_kernel<3, Number>);
      default: return run(few_inputs_kernel<4, Number>);
    }
  });
}

}  // namespace dip::cuda
