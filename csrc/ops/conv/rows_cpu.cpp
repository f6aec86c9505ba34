// Convolution of groups of few channels, depthwise convolution above all: a tile of the product would stay nearly
// empty, so every plane of results is computed by itself, from a padded copy that fits into the first-level cache.
#include <vector>

#include "core/parallel.h"
#include "core/scratch.h"
#include "ops/conv/kernels.h"
#include "ops/conv/padded_input.h"
#include "ops/conv/ways.h"

namespace dip::cpu {

using std::int64_t;

void forward_by_rows(const Conv2d& p, const float* x, const float* weight, const float* bias, float* y) {
  const Axis &h = p.window.h, &w = p.window.w;
  const PaddedInput input(p.window, p.group_channels());
  const int64_t channels = p.group_channels(), filters = p.group_filters(), depth = channels * p.taps();
  parallel_for(p.N * p.groups, [&](int64_t task) {
    const int64_t image = task / p.groups, g = task % p.groups;
    static thread_local Scratch scratch;
    float* planes = scratch.floats(channels * input.channel + 2 * slack);
    for (int64_t c = 0; c < channels; ++c) {
      input.copy_channel(p.window, x + (image * p.C + g * channels + c) * h.input * w.input,
                         planes + c * input.channel);
    }
    for (int64_t k = g * filters; k < (g + 1) * filters; ++k) {
      conv_kernels().shifted_row({weight + k * depth, planes, input.offsets.data(), depth, input.pitch, h.output,
                                  w.output, y + (image * p.K + k) * h.output * w.output, w.output, 1,
                                  bias ? bias[k] : 0.0f, p.activation});
    }
  });
}

void backward_data_by_rows(const Conv2d& p, const float* dy, const float* weight, float* dx) {
  const Axis &h = p.window.h, &w = p.window.w;
  const int64_t rows = p.group_channels(), filters = p.group_filters(), taps = p.taps();
  const PaddedGradient gradient(p.window, filters, rows);
  parallel_for(p.N * p.groups, [&](int64_t task) {
    const int64_t image = task / p.groups, g = task % p.groups;
    static thread_local Scratch scratch;
    float* planes = scratch.floats(filters * gradient.plane + 2 * slack);
    for (int64_t k = 0; k < filters; ++k) {
      gradient.copy_plane(p.window, dy + (image * p.K + g * filters + k) * h.output * w.output,
                          planes + k * gradient.plane);
    }
    std::vector<float> values;
    for (const PaddedGradient::Phase& phase : gradient.phases) {
      for (int64_t c = 0; c < rows; ++c) {
        values.clear();
        for (int64_t column : phase.columns) values.push_back(weight[(g * filters * rows + c) * taps + column]);
        float* out =
            dx + (image * p.C + g * rows + c) * h.input * w.input + phase.h.position(h) * w.input + phase.w.position(w);
        conv_kernels().shifted_row({values.data(),
                                    planes,
                                    phase.offsets.data(),
                                    static_cast<int64_t>(values.size()),
                                    gradient.pitch,
                                    phase.h.size(),
                                    phase.w.size(),
                                    out,
                                    h.stride * w.input,
                                    w.stride,
                                    0.0f,
                                    {}});
      }
    }
  });
}

void backward_weight_by_rows(const Conv2d& p, const float* dy, const float* x, float* dweight) {
  const Axis &h = p.window.h, &w = p.window.w;
  const PaddedInput input(p.window, p.group_channels());
  const int64_t channels = p.group_channels(), filters = p.group_filters(), depth = channels * p.taps();
  parallel_for(p.groups, [&](int64_t g) {
    static thread_local Scratch scratch;
    float* planes = scratch.floats(channels * input.channel + 2 * slack);
    std::vector<double> sums(filters * depth);
    for (int64_t image = 0; image < p.N; ++image) {
      for (int64_t c = 0; c < channels; ++c) {
        input.copy_channel(p.window, x + (image * p.C + g * channels + c) * h.input * w.input,
                           planes + c * input.channel);
      }
      for (int64_t m = 0; m < filters; ++m) {
        conv_kernels().shifted_row_dots({dy + (image * p.K + g * filters + m) * h.output * w.output, planes,
                                         input.offsets.data(), depth, w.output, input.pitch, h.output, w.output,
                                         sums.data() + m * depth});
      }
    }
    for (int64_t i = 0; i < filters * depth; ++i) dweight[g * filters * depth + i] = static_cast<float>(sums[i]);
  });
}

}  // namespace dip::cpu
