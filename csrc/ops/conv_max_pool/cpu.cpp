// Convolution and max pooling in one pass on the CPU, with the images of the batch as the vector: what a window of
// results is pooled to is all that is written, and backward all three gradients come from one copy of x and dy.
#include <algorithm>
#include <atomic>
#include <optional>

#include "core/sum.h"
#include "cpu/costs.h"
#include "cpu/finite.h"
#include "cpu/gemm/kernels.h"
#include "ops/conv/conv.h"
#include "ops/conv/cpu/definition.h"
#include "ops/conv/cpu/images/images.h"
#include "ops/conv/cpu/ways.h"
#include "ops/conv_max_pool/conv_max_pool.h"
#include "ops/max_pool/max_pool.h"
#include "ops/unpool/unpool.h"

namespace dip::cpu {

using std::int64_t;

namespace {

bool is_cheaper(const Conv2d& p, double products, int64_t moved, double separately) {
  const double results = static_cast<double>(p.group_filters() * p.window.h.output * p.window.w.output);
  return images_cost(p.N, products, moved) + costs().pool_fused * results < separately + costs().pool_alone * results;
}

// Zeros where unpooling writes nothing: beside dy, and where windows leave out the end of the plane.
void clear_margins(const Window2d& pool, int64_t planes, const HeldPlanes& held, float* to) {
  const int64_t lanes = packing_kernels().lanes, begin = -held.columns.first * lanes;
  const int64_t end = begin + pool.w.output * pool.w.kernel * lanes, lines = pool.h.output * pool.h.kernel;
  for (int64_t plane = 0; plane < planes; ++plane, to += held.plane) {
    for (int64_t i = 0; i < lines; ++i) {
      std::fill(to + i * held.line, to + i * held.line + begin, 0.0f);
      std::fill(to + i * held.line + end, to + (i + 1) * held.line, 0.0f);
    }
    std::fill(to + lines * held.line, to + held.plane, 0.0f);
  }
}

bool fused_forward_pays(ForwardPlan& plan, const Window2d& pool, const float* weight) {
  const Conv2d& p = plan.p;
  const Axis &h = p.window.h, &w = p.window.w;
  const int64_t rows = p.group_filters(), channels = p.group_channels();
  return channels * p.taps() <= longest_sum &&
         is_cheaper(p, image_steps(plan).count, channels * h.input * w.input + 2 * rows * pool.h.output * pool.w.output,
                    plan.ways[0].cost) &&
         all_finite(weight, p.weight_count());  // one that is not would spoil what it does not meet
}

bool fused_backward_pays(WeightPlan& plan, DataPlan* data, const Window2d& pool, const float* weight) {
  const Conv2d& p = plan.p;
  const Axis &h = p.window.h, &w = p.window.w;
  if (p.N == 0 || (data && (h.stride * w.stride != 1 || data->meets_none()))) return false;
  const int64_t filters = p.group_filters(), channels = p.group_channels(), in_plane = h.input * w.input;
  const double steps = image_steps(plan).count + (data ? image_steps(*data).count : 0.0);
  const double separately = plan.ways[0].cost + (data ? data->ways[0].cost : 0.0);
  if (data && filters * p.taps() > longest_sum) return false;
  return is_cheaper(p, steps, channels * in_plane * (data ? 2 : 1) + 2 * filters * pool.h.output * pool.w.output,
                    separately) &&
         (!data || all_finite(weight, p.weight_count()));
}

// False where an index lies outside its window, or a result is NaN: the results are undefined then.
bool fused_backward(const WeightPlan& plan, const DataPlan* data, const Window2d& pool, const float* dy,
                    const std::int32_t* indices, const float* x, const float* weight, float* dx, float* dweight,
                    float* dbias) {
  const Conv2d& p = plan.p;
  const Axis &h = p.window.h, &w = p.window.w;
  const ImageKernels& kernels = image_kernels();
  const int64_t lanes = packing_kernels().lanes, filters = p.group_filters(), channels = p.group_channels();
  const int64_t depth = channels * p.taps(), in_plane = h.input * w.input, windows = pool.h.output * pool.w.output;
  const HeldPlanes held_x(Held(plan.h, h.output), Held(plan.w, w.output));
  // For dx with zeros beside it, as far as taps reach.
  const Held reached = data ? Held(data->w[0].axis, w.input) : Held(0, w.output);
  const int64_t left = std::min<int64_t>(reached.first, 0);
  const HeldPlanes held_dy(Held(0, h.output), Held(left, std::max(reached.first + reached.extent, w.output) - left));
  const int64_t inside = -held_dy.columns.first * lanes;  // where the first column of dy is held
  const PreparedGradient gradient(plan, held_x, held_dy.line);
  static thread_local Scratch packed_scratch;
  std::optional<PreparedProduct> product_of_dy;
  if (data) {
    product_of_dy.emplace(data->h[0].axis, data->w[0].axis, data->images->tiling, p.groups, channels, filters,
                          backward_matrix(p, weight), held_dy, h.input, 1, packed_scratch);
  }

  const int64_t blocks = divide_up(p.N, lanes), shares = std::min(blocks, pieces_wanted);
  static thread_local Scratch weight_scratch, bias_scratch;
  float* weight_shares = weight_scratch.floats(shares * p.K * depth);
  float* bias_shares = bias_scratch.floats(shares * p.K);
  std::atomic<bool> lost{false};
  parallel_for(shares * p.groups, [&](int64_t task) {
    const int64_t share = task % shares, g = task / shares;
    static thread_local Scratch x_scratch, dy_scratch, sums_scratch, bias_sums_scratch, product_scratch;
    float* x_held = x_scratch.floats(channels * held_x.plane);
    float* dy_held = dy_scratch.floats(filters * held_dy.plane);
    float* sums = sums_scratch.floats(filters * depth * lanes);
    float* bias_sums = bias_sums_scratch.floats(filters * lanes);
    clear_margins(pool, filters, held_dy, dy_held);
    std::fill(bias_sums, bias_sums + filters * lanes, 0.0f);
    for (int64_t block = share * blocks / shares; block < (share + 1) * blocks / shares; ++block) {
      const int64_t first = block * lanes, some = std::min(lanes, p.N - first);
      held_x.interleave(x + (first * p.C + g * channels) * in_plane, p.C * in_plane, some, channels, h.input, w.input,
                        held_x.lines.first, held_x.lines.extent, x_held);
      for (int64_t m = 0; m < filters; ++m) {
        const int64_t at = (first * p.K + g * filters + m) * windows;
        const bool found = kernels.unpool_images({
            .dy = dy + at,
            .indices = indices + at,
            .image = p.K * windows,
            .images = some,
            .windows_h = pool.h.output,
            .windows_w = pool.w.output,
            .pool_h = pool.h.kernel,
            .pool_w = pool.w.kernel,
            .grid_w = w.output,
            .to = dy_held + m * held_dy.plane + inside,
            .to_line = held_dy.line,
            .sum = bias_sums + m * lanes,
        });
        if (!found) lost.store(true, std::memory_order_relaxed);
      }
      for (int64_t i = 0; i < h.output; i += gradient.lines) {
        gradient.run(dy_held + i * held_dy.line + inside, held_dy.plane, x_held + i * h.stride * held_x.line,
                     std::min(gradient.lines, h.output - i), sums, block > share * blocks / shares || i > 0);
      }
      if (!data) continue;
      ImageProduct product = product_of_dy->of(g, dy_held, 0, some);
      product.out = dx + (first * p.C + g * channels) * in_plane;
      product.out_image = p.C * in_plane;
      product.out_plane = in_plane;
      kernels.product(product, 0, h.input, product_scratch.floats(product_of_dy->sums_floats()));
    }
    kernels.sum_lanes(sums, filters * depth, weight_shares + (share * p.groups + g) * filters * depth);
    kernels.sum_lanes(bias_sums, filters, bias_shares + (share * p.groups + g) * filters);
  });
  sum_shares(weight_shares, shares, p.K * depth, dweight);
  sum_shares(bias_shares, shares, p.K, dbias);
  return !lost.load(std::memory_order_relaxed) && !any_nan(dweight, p.weight_count());
}

}  // namespace

void conv2d_max_pool2d_forward(const Conv2d& p, const Window2d& pool, Reals x, Reals weight, Reals bias, RealResults y,
                               std::int32_t* indices) {
  ForwardPlan plan = plan_forward(p);
  if (fused_forward_pays(plan, pool, weight)) return forward_pooled_by_images(plan, pool, x, weight, bias, y, indices);
  static thread_local Scratch scratch;
  float* large = scratch.floats(p.y_count());
  run(plan, x, weight, bias, large);
  max_pool_forward(pool, p.N * p.K, large, y, indices);
}

void conv2d_max_pool2d_backward(const Conv2d& p, const Window2d& pool, Reals dy, const std::int32_t* indices, Reals x,
                                Reals weight, RealResults dx, RealResults dweight, RealResults dbias,
                                const Describe& describe) {
  WeightPlan plan = plan_backward_weight(p);
  std::optional<DataPlan> data;
  if (dx && p.x_count() > 0) data = plan_backward_data(p);
  DataPlan* of_data = data ? &*data : nullptr;
  if (fused_backward_pays(plan, of_data, pool, weight) &&
      fused_backward(plan, of_data, pool, dy, indices, x, weight, dx, dweight, dbias)) {
    return;
  }
  static thread_local Scratch scratch;
  float* large = scratch.floats(std::max<std::int64_t>(p.y_count(), 1));
  const int64_t planes = p.N * p.K;
  const Pair windows{pool.h.output, pool.w.output}, plane{pool.h.input, pool.w.input};
  if (planes > 0) scatter_planes(planes, windows, plane, dy, indices, large, describe);
  run(plan, large, x, dweight);
  conv2d_backward_bias(p, large, dbias);
  if (data) run(*data, large, weight, dx);
}

}  // namespace dip::cpu
