#include "ops/conv/cpu/definition.h"
#include "cpu/parallel.h"
#include "ops/activation/kernels.h"

namespace dip::cpu {
namespace {

using std::int64_t;

bool is_wanted(Which which, float value) {
  return which == Which::all || value != value;
}

// Calls body(tap, place) for the taps of an axis that lie at a place: those of output `at` in the input.
template <class Body>
void each_tap(const Axis& axis, int64_t at, const Body& body) {
  for (int64_t tap = 0; tap < axis.kernel; ++tap) {
    const int64_t place = at * axis.stride + tap * axis.dilation - axis.pad_start;
    if (place >= 0 && place < axis.input) body(tap, place);
  }
}

// The same for the outputs that meet the input at `at`.
template <class Body>
void each_output(const Axis& axis, int64_t at, const Body& body) {
  for (int64_t tap = 0; tap < axis.kernel; ++tap) {
    const int64_t reach = at + axis.pad_start - tap * axis.dilation;
    if (reach >= 0 && reach % axis.stride == 0 && reach / axis.stride < axis.output) body(tap, reach / axis.stride);
  }
}

// And for the outputs whose tap `tap` meets the input.
template <class Body>
void each_meeting(const Axis& axis, int64_t tap, const Body& body) {
  for (int64_t at = 0; at < axis.output; ++at) {
    const int64_t place = at * axis.stride + tap * axis.dilation - axis.pad_start;
    if (place >= 0 && place < axis.input) body(at, place);
  }
}

}  // namespace

void forward_by_definition(const Conv2d& p, Which which, const float* x, const float* weight, const float* bias,
                           float* y) {
  const Axis &h = p.window.h, &w = p.window.w;
  const int64_t channels = p.group_channels(), filters = p.group_filters(), plane = h.input * w.input;
  parallel_for(p.N * p.K * h.output, [&](int64_t row) {
    const int64_t oh = row % h.output, k = row / h.output % p.K, n = row / h.output / p.K;
    for (int64_t ow = 0; ow < w.output; ++ow) {
      float& result = y[row * w.output + ow];
      if (!is_wanted(which, result)) continue;
      double sum = bias ? bias[k] : 0.0;
      for (int64_t c = 0; c < channels && sum == sum; ++c) {
        const float* from = x + (n * p.C + k / filters * channels + c) * plane;
        const float* taps = weight + (k * channels + c) * p.taps();
        each_tap(h, oh, [&](int64_t r, int64_t ih) {
          each_tap(w, ow, [&](int64_t s, int64_t iw) {
            sum += static_cast<double>(from[ih * w.input + iw]) * taps[r * w.kernel + s];
          });
        });
      }
      result = static_cast<float>(sum);
      activation_kernels().forward(p.activation, 1, &result, &result);
    }
  });
}

void backward_data_by_definition(const Conv2d& p, Which which, const float* dy, const float* weight, float* dx) {
  const Axis &h = p.window.h, &w = p.window.w;
  const int64_t channels = p.group_channels(), filters = p.group_filters(), plane = h.output * w.output;
  parallel_for(p.N * p.C * h.input, [&](int64_t row) {
    const int64_t ih = row % h.input, c = row / h.input % p.C, n = row / h.input / p.C, group = c / channels;
    for (int64_t iw = 0; iw < w.input; ++iw) {
      float& result = dx[row * w.input + iw];
      if (!is_wanted(which, result)) continue;
      double sum = 0.0;
      for (int64_t k = group * filters; k < (group + 1) * filters && sum == sum; ++k) {
        const float* from = dy + (n * p.K + k) * plane;
        const float* taps = weight + (k * channels + c % channels) * p.taps();
        each_output(h, ih, [&](int64_t r, int64_t oh) {
          each_output(w, iw, [&](int64_t s, int64_t ow) {
            sum += static_cast<double>(from[oh * w.output + ow]) * taps[r * w.kernel + s];
          });
        });
      }
      result = static_cast<float>(sum);
    }
  });
}

void backward_weight_by_definition(const Conv2d& p, Which which, const float* dy, const float* x, float* dweight) {
  const Axis &h = p.window.h, &w = p.window.w;
  const int64_t channels = p.group_channels(), filters = p.group_filters();
  parallel_for(p.weight_count(), [&](int64_t i) {
    if (!is_wanted(which, dweight[i])) return;
    const int64_t s = i % w.kernel, r = i / w.kernel % h.kernel, c = i / p.taps() % channels,
                  k = i / p.taps() / channels;
    double sum = 0.0;
    for (int64_t n = 0; n < p.N && sum == sum; ++n) {
      const float* gradients = dy + (n * p.K + k) * h.output * w.output;
      const float* from = x + (n * p.C + k / filters * channels + c) * h.input * w.input;
      each_meeting(h, r, [&](int64_t oh, int64_t ih) {
        each_meeting(w, s, [&](int64_t ow, int64_t iw) {
          sum += static_cast<double>(gradients[oh * w.output + ow]) * from[ih * w.input + iw];
        });
      });
    }
    dweight[i] = static_cast<float>(sum);
  });
}

}  // namespace dip::cpu
