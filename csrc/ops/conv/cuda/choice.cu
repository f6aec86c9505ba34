// Convolution on the GPU as implicit matrix products (cuda/gemm/gather.h): nothing is unfolded, the three products read
// x, dy and weight where they lie. Few channels have kernels of their own (few_channels.cu), and so have arrays that
// 32-bit offsets do not reach (direct.cu).
#include "cuda/activation.h"
#include "cuda/copy_kernels.h"
#include "cuda/gemm/gather.h"
#include "cuda/gemm/packed/convolution.h"
#include "cuda/phase.h"
#include "cuda/sum.h"
#include "ops/conv/conv.h"
#include "ops/conv/cuda/direct.h"
#include "ops/conv/cuda/few_channels.h"
#include "ops/conv/cuda/few_inputs.h"
#include "ops/conv/cuda/geometry.h"

namespace dip::cuda {
namespace {

// y: filters × positions, summed over channels and taps.
struct Forward : Geometry {
  static constexpr bool a_along_rows = false, b_along_depth = false, has_outside = true;
  int rows, columns, depth, height, width;
  const float *a, *b, *bias;
  int a_row;
  float* y;
  int group_channels, image, out_image;  // elements of an image of x, of y
  ActivationSpec activation;

  Forward(const Conv2d& p, const float* x, const float* weight, const float* bias_, float* y_)
      : Geometry(p.window), a(weight), b(x), bias(bias_), y(y_), activation(p.activation) {
    height = in_h, width = in_w;
    group_channels = int(p.group_channels());
    image = int(p.C) * height * width;
    out_image = int(p.K) * out_h * out_w;
    rows = int(p.group_filters());
    columns = int(p.N) * out_h * out_w;
    depth = a_row = group_channels * kernel_h * kernel_w;
  }

  __device__ void begin(const AlikeBatches&, int group, int) {
    a += group * rows * depth;
    b += group * group_channels * height * width;
    y += group * rows * out_h * out_w;
    if (bias) bias += group * rows;
  }
  __device__ DepthAt depth_at(int d) const {
    const int s = d % kernel_w, r = d / kernel_w % kernel_h, c = d / kernel_w / kernel_h;
    const int h = r * dilation_h, w = s * dilation_w;
    return {d, (c * height + h) * width + w, h, w};
  }
  __device__ ColumnAt column_at(int j) const {
    const int ow = j % out_w, oh = j / out_w % out_h, n = j / out_w / out_h;
    const int h = oh * stride_h - pad_h, w = ow * stride_w - pad_w;
    return {n * image + h * width + w, n * out_image + oh * out_w + ow, h, w};
  }
  __device__ float finish(int i, int, float sum) const {
    return activate_one_of_many(bias ? sum + bias[i] : sum, activation);
  }
  __device__ float* place(int i, int column_out) const { return y + i * out_h * out_w + column_out; }
};

// dx: channels × positions of a phase, summed over filters and the phase's taps. The phases are batches.
template <class PhaseKind>
struct BackwardData : Geometry {
  static constexpr bool a_along_rows = false, b_along_depth = false, has_outside = true;
  int rows, columns, depth, height, width;  // of columns and depth the most of all phases, then this one's
  const float *a, *b;
  int a_row;
  float* dx;
  PhaseKind phase;
  int images, group_filters, image, in_image;  // elements of an image of dy, of dx

  BackwardData(const Conv2d& p, const PhaseBatches& batches, const float* dy, const float* weight, float* dx_)
      : Geometry(p.window), a(weight), b(dy), dx(dx_), phase(batches) {
    height = out_h, width = out_w;
    images = int(p.N);
    group_filters = int(p.group_filters());
    image = int(p.K) * height * width;
    in_image = int(p.C) * in_h * in_w;
    rows = int(p.group_channels());
    columns = images * batches.h.most_positions() * batches.w.most_positions();
    depth = group_filters * batches.h.most_taps() * batches.w.most_taps();
    a_row = kernel_h * kernel_w;
  }

  __device__ void begin(const typename PhaseKind::Batches& batches, int batch, int) {
    const int group = PhaseKind::group_of(batches, batch);
    const Phase h = phase.h(), w = phase.w();
    columns = images * h.count * w.count;
    depth = group_filters * h.taps * w.taps;
    a += group * group_filters * rows * kernel_h * kernel_w;
    b += group * group_filters * height * width;
    dx += group * rows * in_h * in_w;
  }
  __device__ DepthAt depth_at(int d) const {
    const Phase h = phase.h(), w = phase.w();
    const int t_w = d % w.taps, t_h = d / w.taps % h.taps, k = d / w.taps / h.taps;
    const int s = w.first_tap + t_w * w.tap_step, r = h.first_tap + t_h * h.tap_step;
    const int oh = h.first_window + t_h * h.window_step, ow = w.first_window + t_w * w.window_step;
    return {(k * rows * kernel_h + r) * kernel_w + s, (k * height + oh) * width + ow, oh, ow};
  }
  __device__ ColumnAt column_at(int j) const {
    const Phase h = phase.h(), w = phase.w();
    const int qw = j % w.count, qh = j / w.count % h.count, n = j / w.count / h.count;
    const int out = n * in_image + (h.first + qh * stride_h) * in_w + w.first + qw * stride_w;
    return {n * image + qh * width + qw, out, qh, qw};
  }
  __device__ float finish(int, int, float sum) const { return sum; }
  __device__ float* place(int i, int column_out) const { return dx + i * in_h * in_w + column_out; }
};

// dweight: filters × (channels and taps), summed over images and positions.
struct BackwardWeight : Geometry {
  static constexpr bool a_along_rows = false, b_along_depth = true, has_outside = true;
  int rows, columns, depth, height, width;
  const float *a, *b;
  int a_row;
  float* dweight;  // of each split, one after the other
  int group_channels, image, out_image, elements;

  BackwardWeight(const Conv2d& p, const float* dy, const float* x, float* dweight_)
      : Geometry(p.window), a(dy), b(x), dweight(dweight_) {
    height = in_h, width = in_w;
    group_channels = int(p.group_channels());
    image = int(p.C) * height * width;
    out_image = int(p.K) * out_h * out_w;
    rows = int(p.group_filters());
    columns = group_channels * kernel_h * kernel_w;
    depth = int(p.N) * out_h * out_w;
    a_row = out_h * out_w;
    elements = int(p.K) * columns;
  }

  __device__ void begin(const AlikeBatches&, int group, int split) {
    a += group * rows * out_h * out_w;
    b += group * group_channels * height * width;
    dweight += split * elements + group * rows * columns;
  }
  __device__ DepthAt depth_at(int d) const {
    const int ow = d % out_w, oh = d / out_w % out_h, n = d / out_w / out_h;
    const int h = oh * stride_h - pad_h, w = ow * stride_w - pad_w;
    return {n * out_image + oh * out_w + ow, n * image + h * width + w, h, w};
  }
  __device__ ColumnAt column_at(int j) const {
    const int s = j % kernel_w, r = j / kernel_w % kernel_h, c = j / kernel_w / kernel_h;
    const int h = r * dilation_h, w = s * dilation_w;
    return {(c * height + h) * width + w, j, h, w};
  }
  __device__ float finish(int, int, float sum) const { return sum; }
  __device__ float* place(int i, int column_out) const { return dweight + i * columns + column_out; }
};

GemmPlan plan(std::int64_t rows, std::int64_t columns, std::int64_t depth, std::int64_t batches, bool may_split) {
  return plan_gemm(
      {
          .rows = rows,
          .columns = columns,
          .depth = depth,
          .batches = batches,
          .may_split = may_split,
          .kind = TileKind::warps,
          .products = 0,
      },
      multiprocessors());
}

// The ways, in the order in which they are asked for.
enum class Way { few_channels, few_inputs, packed, direct, gathered };

Way plan_way(const Conv2d& p, DType dtype, bool to_data = false) {
  if (has_few_channels(p)) return Way::few_channels;
  if (to_data && has_few_inputs(p)) return Way::few_inputs;
  if (uses_packed(p, dtype)) return Way::packed;
  return fits_32_bits(p) ? Way::gathered : Way::direct;
}

}  // namespace

std::string conv2d_choice(const std::string& op, const Conv2d& p) {
  const bool transposes = op == "conv2d_backward_weight";
  switch (plan_way(p, DType::float32, op == "conv2d_backward_data")) {
    case Way::few_channels:
    case Way::few_inputs: return "few channels: they would leave tiles of a matrix product empty";
    case Way::packed: {
      constexpr const char* than_float32 = " on tensor cores are faster than one of float32";
      if (p.precision == Precision::medium && !transposes) return message("packed: products of TF32", than_float32);
      return message("packed: ", p.precision == Precision::highest ? 6 : 3, " products of split numbers", than_float32);
    }
    case Way::direct: return "direct: 32-bit offsets do not reach all elements";
    case Way::gathered: break;
  }
  return "gathered: one product of float32, read where it lies, is as fast as several of packed numbers";
}

void set_conv_way(const std::string& name) {
  check(name == "auto", "set_conv_way: on a GPU ways are chosen by set_gemm_tile and set_float32_products, got \"",
        name, "\"");
}

void conv2d_forward(const Conv2d& p, Reals x, Reals weight, Reals bias, RealResults y) {
  const Way way = plan_way(p, x.dtype);
  if (way == Way::few_channels) return conv2d_forward_few(p, x, weight, bias, y);
  if (way == Way::packed) return conv2d_forward_packed(p, x, weight, bias, y);
  const Widened wide_x(x, p.x_count()), wide_weight(weight, p.weight_count()), wide_bias(bias, p.K);
  in_float32(y, p.y_count(), [&](float* result) {
    if (way == Way::direct) return conv2d_forward_direct(p, wide_x, wide_weight, wide_bias, result);
    const Forward problem(p, wide_x, wide_weight, wide_bias, result);
    gather_gemm(problem, AlikeBatches{int(p.groups)},
                plan(problem.rows, problem.columns, problem.depth, p.groups, false));
  });
}

void conv2d_backward_data(const Conv2d& p, Reals dy, Reals weight, RealResults dx) {
  const Way way = plan_way(p, dy.dtype, true);
  if (way == Way::few_channels) return conv2d_backward_data_few(p, dy, weight, dx);
  if (way == Way::few_inputs) return conv2d_backward_data_few_inputs(p, dy, weight, dx);
  if (way == Way::packed) return conv2d_backward_data_packed(p, dy, weight, dx);
  const Widened wide_dy(dy, p.y_count()), wide_weight(weight, p.weight_count());
  in_float32(dx, p.x_count(), [&](float* result) {
    if (way == Way::direct) return conv2d_backward_data_direct(p, wide_dy, wide_weight, result);
    if (!meets_all(p.window.h) || !meets_all(p.window.w)) fill_zero(result, p.x_count() * sizeof(float));
    for (const Phases& along_h : sets_of_phases(p.window.h)) {
      for (const Phases& along_w : sets_of_phases(p.window.w)) {
        const PhaseBatches phases{int(p.groups), along_h, along_w};
        with_phases(phases, [&](auto phase, const auto& batches) {
          const BackwardData<decltype(phase)> problem(p, phases, wide_dy, wide_weight, result);
          gather_gemm(problem, batches, plan(problem.rows, problem.columns, problem.depth, batches.count(), false));
        });
      }
    }
  });
}

void conv2d_backward_weight(const Conv2d& p, Reals dy, Reals x, RealResults dweight) {
  const Beside beside;
  const Way way = plan_way(p, x.dtype);
  if (way == Way::few_channels) return conv2d_backward_weight_few(p, dy, x, dweight);
  if (way == Way::packed) return conv2d_backward_weight_packed(p, dy, x, dweight);
  const Widened wide_dy(dy, p.y_count()), wide_x(x, p.x_count());
  in_float32(dweight, p.weight_count(), [&](float* result) {
    if (way == Way::direct) return conv2d_backward_weight_direct(p, wide_dy, wide_x, result);
    BackwardWeight problem(p, wide_dy, wide_x, result);
    const GemmPlan cut = plan(problem.rows, problem.columns, problem.depth, p.groups, true);
    sum_splits(cut, problem.elements, result, [&](float* to) {
      problem.dweight = to;
      gather_gemm(problem, AlikeBatches{int(p.groups)}, cut);
    });
  });
}

void conv2d_backward_bias(const Conv2d& p, Reals dy, RealResults dbias) {
  const Beside beside;
  sum_channels(p.N, p.K, p.window.h.output * p.window.w.output, dy, dbias);
}

}  // namespace dip::cuda
