// Convolution of groups of few channels, depthwise convolution above all: a tile of the product would stay nearly
// empty, so every plane of results is computed by itself: in place for stride 1, else from a padded copy that fits into
// the first-level cache.
#include <algorithm>
#include <vector>

#include "cpu/parallel.h"
#include "cpu/scratch.h"
#include "ops/conv/cpu/padded_input.h"
#include "ops/conv/cpu/rows/kernels.h"
#include "ops/conv/cpu/ways.h"

namespace dip::cpu {

using std::int64_t;

namespace {

// Stride 1 needs no copies.
bool reads_in_place(const Conv2d& p) {
  return p.window.h.stride == 1 && p.window.w.stride == 1 && p.window.w.kernel <= row_kernels().most_tap_columns;
}

}  // namespace

void forward_by_rows(const ForwardPlan& plan, const float* x, const float* weight, const float* bias, float* y) {
  const Conv2d& p = plan.p;
  const Axis &h = p.window.h, &w = p.window.w;
  if (reads_in_place(p)) {
    const int64_t filters = p.group_filters(), channels = p.group_channels();
    parallel_for(p.N * p.K, [&](int64_t task) {
      const int64_t image = task / p.K, k = task % p.K;
      row_kernels().plane_sum({
          .weight = weight + k * channels * p.taps(),
          .source = x + (image * p.C + k / filters * channels) * h.input * w.input,
          .channels = channels,
          .height = h.input,
          .width = w.input,
          .tap_rows = h.kernel,
          .tap_columns = w.kernel,
          .dilation_h = h.dilation,
          .dilation_w = w.dilation,
          .first_row = -h.pad_start,
          .first_column = -w.pad_start,
          .grid_h = h.output,
          .grid_w = w.output,
          .out = y + task * h.output * w.output,
          .bias = bias ? bias[k] : 0.0f,
          .activation = p.activation,
      });
    });
    return;
  }
  const PaddedInput input(p.window, p.group_channels());
  const int64_t channels = p.group_channels(), filters = p.group_filters(), depth = channels * p.taps();
  parallel_for(p.N * p.groups, [&](int64_t task) {
    const int64_t image = task / p.groups, g = task % p.groups;
    static thread_local Scratch scratch;
    float* planes = scratch.floats(channels * input.channel + 2 * slack);
    input.copy_channels(p.window, x + (image * p.C + g * channels) * h.input * w.input, channels, planes);
    for (int64_t k = g * filters; k < (g + 1) * filters; ++k) {
      row_kernels().shifted_row({
          .weight = weight + k * depth,
          .source = planes,
          .offset = input.offsets.data(),
          .depth = depth,
          .pitch = input.pitch,
          .grid_h = h.output,
          .grid_w = w.output,
          .out = y + (image * p.K + k) * h.output * w.output,
          .out_row = w.output,
          .out_column = 1,
          .bias = bias ? bias[k] : 0.0f,
          .activation = p.activation,
      });
    }
  });
}

void backward_data_by_rows(const DataPlan& plan, const float* dy, const float* weight, float* dx) {
  const Conv2d& p = plan.p;
  const Axis &h = p.window.h, &w = p.window.w;
  const int64_t rows = p.group_channels(), filters = p.group_filters(), taps = p.taps();
  if (reads_in_place(p)) {
    // The convolution of dy with the turned weights: dx[i] = Σ_t weight[t] · dy[i + pad − t·dilation].
    std::vector<float> turned(p.C * filters * taps);
    for (int64_t c = 0; c < p.C; ++c) {
      for (int64_t k = 0; k < filters; ++k) {
        const float* from = weight + ((c / rows * filters + k) * rows + c % rows) * taps;
        std::reverse_copy(from, from + taps, turned.begin() + (c * filters + k) * taps);
      }
    }
    parallel_for(p.N * p.C, [&](int64_t task) {
      const int64_t image = task / p.C, c = task % p.C;
      row_kernels().plane_sum({
          .weight = turned.data() + c * filters * taps,
          .source = dy + (image * p.K + c / rows * filters) * h.output * w.output,
          .channels = filters,
          .height = h.output,
          .width = w.output,
          .tap_rows = h.kernel,
          .tap_columns = w.kernel,
          .dilation_h = h.dilation,
          .dilation_w = w.dilation,
          .first_row = h.pad_start - (h.kernel - 1) * h.dilation,
          .first_column = w.pad_start - (w.kernel - 1) * w.dilation,
          .grid_h = h.input,
          .grid_w = w.input,
          .out = dx + task * h.input * w.input,
          .bias = 0.0f,
          .activation = {},
      });
    });
    return;
  }
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
        row_kernels().shifted_row({
            .weight = values.data(),
            .source = planes,
            .offset = phase.offsets.data(),
            .depth = static_cast<int64_t>(values.size()),
            .pitch = gradient.pitch,
            .grid_h = phase.h.size(),
            .grid_w = phase.w.size(),
            .out = out,
            .out_row = h.stride * w.input,
            .out_column = w.stride,
            .bias = 0.0f,
            .activation = {},
        });
      }
    }
  });
}

void backward_weight_by_rows(const WeightPlan& plan, const float* dy, const float* x, float* dweight) {
  const Conv2d& p = plan.p;
  const Axis &h = p.window.h, &w = p.window.w;
  const int64_t channels = p.group_channels(), filters = p.group_filters(), depth = channels * p.taps();
  if (reads_in_place(p) && h.kernel == 3 && w.kernel == 3) {
    parallel_for(p.K * channels, [&](int64_t task) {
      const int64_t k = task / channels, c = k / filters * channels + task % channels;
      double sums[9] = {};
      for (int64_t image = 0; image < p.N; ++image) {
        row_kernels().plane_dots({
            .left = dy + (image * p.K + k) * h.output * w.output,
            .source = x + (image * p.C + c) * h.input * w.input,
            .height = h.input,
            .width = w.input,
            .dilation_h = h.dilation,
            .dilation_w = w.dilation,
            .first_row = -h.pad_start,
            .first_column = -w.pad_start,
            .grid_h = h.output,
            .grid_w = w.output,
            .sum = sums,
        });
      }
      std::copy(sums, sums + 9, dweight + task * 9);
    });
    return;
  }
  const PaddedInput input(p.window, channels);
  parallel_for(p.groups, [&](int64_t g) {
    static thread_local Scratch scratch;
    float* planes = scratch.floats(channels * input.channel + 2 * slack);
    std::vector<double> sums(filters * depth);
    for (int64_t image = 0; image < p.N; ++image) {
      input.copy_channels(p.window, x + (image * p.C + g * channels) * h.input * w.input, channels, planes);
      for (int64_t m = 0; m < filters; ++m) {
        row_kernels().shifted_row_dots({
            .left = dy + (image * p.K + g * filters + m) * h.output * w.output,
            .right = planes,
            .offset = input.offsets.data(),
            .depth = depth,
            .left_row = w.output,
            .pitch = input.pitch,
            .grid_h = h.output,
            .grid_w = w.output,
            .sum = sums.data() + m * depth,
        });
      }
    }
    for (int64_t i = 0; i < filters * depth; ++i) dweight[g * filters * depth + i] = static_cast<float>(sums[i]);
  });
}

}  // namespace dip::cpu
