// The ways in which the CPU computes a convolution and its gradients, and the plan that says which one; choice.cpp
// makes it, by what the ways cost.
#pragma once

#include <algorithm>
#include <limits>
#include <optional>
#include <vector>

#include "core/conv2d.h"
#include "ops/conv/cpu/images/kernels.h"
#include "ops/conv/cpu/tap_axis.h"

namespace dip::cpu {

constexpr std::int64_t pieces_wanted = 16;  // of the work: enough for the threads to share evenly

// Large work is cut into more, so that no piece takes longer than some hundredths of a second: Ctrl-C is looked for
// between pieces.
inline std::int64_t pieces_of(std::int64_t results, std::int64_t depth) {
  return std::max(pieces_wanted,
                  static_cast<std::int64_t>(static_cast<double>(results) * static_cast<double>(depth) / (1 << 28)));
}

// What a product with the images as the vector takes, in multiply-adds of vectors, and the tiling that takes so few.
struct ImageSteps {
  double count;
  ImageTiling tiling;
};

enum class Way { rows, tiles, lanes, images, dots, bf16, winograd };

struct Candidate {
  Way way;
  double cost;  // for one image and group, in multiply-adds of one lane
};

// What was worked out for a call: the ways, the cheapest first, and what they and their costs are computed from. Costs
// may leave there what the launcher needs again.
struct ForwardPlan {
  Conv2d p;
  TapAxis h, w;
  std::vector<Candidate> ways = {};
  std::optional<ImageSteps> images = {};

  explicit ForwardPlan(const Conv2d& p_) : p(p_), h(forward_axis(p_.window.h)), w(forward_axis(p_.window.w)) {}
};

struct WeightPlan : ForwardPlan {
  using ForwardPlan::ForwardPlan;
};

// To the data, the positions of x along each axis that some tap meets, phase by phase.
struct DataPlan {
  Conv2d p;
  std::vector<TapPhase> h, w;
  std::vector<Candidate> ways = {};
  std::optional<ImageSteps> images = {};

  explicit DataPlan(const Conv2d& p_) : p(p_), h(backward_phases(p_.window.h)), w(backward_phases(p_.window.w)) {}

  bool meets_none() const { return h.empty() || w.empty(); }
  bool meets_all() const {
    return static_cast<std::int64_t>(h.size()) == count_phases(p.window.h) &&
           static_cast<std::int64_t>(w.size()) == count_phases(p.window.w);
  }
};

// The way that tests and benchmarks ask for by set_conv_way; none: the cheapest.
std::optional<Way> asked_way();

ForwardPlan plan_forward(const Conv2d& p);
DataPlan plan_backward_data(const Conv2d& p);
WeightPlan plan_backward_weight(const Conv2d& p);

// conv2d_forward, conv2d_backward_data and conv2d_backward_weight as planned.
void run(const ForwardPlan& plan, const float* x, const float* weight, const float* bias, float* y);
void run(const DataPlan& plan, const float* dy, const float* weight, float* dx);
void run(const WeightPlan& plan, const float* dy, const float* x, float* dweight);

// One plane of results after the other: for groups of few channels.
void forward_by_rows(const ForwardPlan& plan, const float* x, const float* weight, const float* bias, float* y);
void backward_data_by_rows(const DataPlan& plan, const float* dy, const float* weight, float* dx);
void backward_weight_by_rows(const WeightPlan& plan, const float* dy, const float* x, float* dweight);

// Tiles of filters × columns with the columns as the vector: for few filters.
void forward_by_tiles(const ForwardPlan& plan, const float* x, const float* weight, const float* bias, float* y);
void backward_data_by_tiles(const DataPlan& plan, const float* dy, const float* weight, float* dx);

// The filters, or backward the channels, as the vector: where there are enough to fill it.
void forward_by_lanes(const ForwardPlan& plan, const float* x, const float* weight, const float* bias, float* y);
void backward_data_by_lanes(const DataPlan& plan, const float* dy, const float* weight, float* dx);
void backward_weight_by_lanes(const WeightPlan& plan, const float* dy, const float* x, float* dweight);

// The same of clips, whose frames are read where they lie. Every frame must meet some tap, and every weight be finite.
// In gradients of weights the frames around a clip are zeros, so that they are NaN where dy is infinite there.
void forward_clips_by_lanes(const Conv3d& p, const float* x, const float* weight, const float* bias, float* y);
void backward_data_clips_by_lanes(const Conv3d& p, const float* dy, const float* weight, float* dx);
void backward_weight_clips_by_lanes(const Conv3d& p, const float* dy, const float* x, float* dweight);

// The images as the vector: for few channels and filters. Backward data for stride 1 alone.
void forward_by_images(const ForwardPlan& plan, const float* x, const float* weight, const float* bias, float* y);
void backward_data_by_images(const DataPlan& plan, const float* dy, const float* weight, float* dx);
void backward_weight_by_images(const WeightPlan& plan, const float* dy, const float* x, float* dweight);

// Dot products along the positions: weight gradients of few filters.
void backward_weight_by_dots(const WeightPlan& plan, const float* dy, const float* x, float* dweight);

// Products of bfloat16 numbers, on processors that multiply them. False where the numbers forbid it: infinities, or
// sums that would leave the range of float32.
bool forward_by_bf16(const ForwardPlan& plan, const float* x, const float* weight, const float* bias, float* y);
bool backward_data_by_bf16(const DataPlan& plan, const float* dy, const float* weight, float* dx);
bool backward_weight_by_bf16(const WeightPlan& plan, const float* dy, const float* x, float* dweight);

// Winograd's F(4 × 4, 3 × 3), for precisions below `highest`. False where a result is infinite or NaN, which may have
// come from a neighbour's, or where weights are so small that their transforms would lose bits.
bool forward_by_winograd(const ForwardPlan& plan, const float* x, const float* weight, const float* bias, float* y);
bool backward_data_by_winograd(const DataPlan& plan, const float* dy, const float* weight, float* dx);
bool backward_weight_by_winograd(const WeightPlan& plan, const float* dy, const float* x, float* dweight);

// What these cost for one image and group, in multiply-adds of one lane.
constexpr double impossible = std::numeric_limits<double>::infinity();
double forward_tiles_cost(const ForwardPlan& plan);
double forward_lanes_cost(const ForwardPlan& plan);
double forward_images_cost(ForwardPlan& plan);
double forward_bf16_cost(const ForwardPlan& plan);
double forward_winograd_cost(const ForwardPlan& plan);
double backward_data_tiles_cost(const DataPlan& plan);
double backward_data_lanes_cost(const DataPlan& plan);
double backward_data_images_cost(DataPlan& plan);
double backward_data_bf16_cost(const DataPlan& plan);
double backward_data_winograd_cost(const DataPlan& plan);
double backward_weight_dots_cost(const WeightPlan& plan);
double backward_weight_lanes_cost(const WeightPlan& plan);
double backward_weight_images_cost(WeightPlan& plan);
double backward_weight_bf16_cost(const WeightPlan& plan);
double backward_weight_winograd_cost(const WeightPlan& plan);

}  // namespace dip::cpu
