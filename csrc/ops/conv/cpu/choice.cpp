// Convolution on the CPU: which way, and why.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <vector>

#include "core/check.h"
#include "core/phases.h"
#include "core/sum.h"
#include "cpu/finite.h"
#include "cpu/parallel.h"
#include "ops/conv/conv.h"
#include "ops/conv/cpu/definition.h"
#include "ops/conv/cpu/kernels.h"
#include "ops/conv/cpu/ways.h"

namespace dip::cpu {
namespace {

bool few_channels(const Conv2d& p) {
  return p.groups > 1 && p.group_filters() * p.group_channels() <= 4;
}

constexpr const char* way_names[] = {"rows", "tiles", "lanes", "images", "dots", "bf16", "winograd"};

// The index of the way that is asked for; −1: none.
std::atomic<int> asked_index{-1};

using Ways = std::vector<Candidate>;

Ways cheapest_first(Ways ways) {
  const std::optional<Way> asked = asked_way();
  const auto comes_first = [&](const Candidate& each) { return asked == each.way && !std::isinf(each.cost); };
  std::stable_sort(ways.begin(), ways.end(), [&](const Candidate& a, const Candidate& b) {
    return comes_first(a) != comes_first(b) ? comes_first(a) : a.cost < b.cost;
  });
  return ways;
}

const char* name_of(Way way) {
  return way_names[static_cast<int>(way)];
}

const char* reason_of(Way way) {
  switch (way) {
    case Way::rows: return "groups of so few channels would leave tiles empty";
    case Way::tiles: return "the columns of the result are the vector";
    case Way::lanes: return "the channels of the result, or the filters, are the vector";
    case Way::images: return "the images are the vector";
    case Way::dots: return "the positions are the vector";
    case Way::bf16: return "products of bfloat16 numbers, where all are finite and no sum leaves float32";
    case Way::winograd: return "a quarter of the products, where all results are finite";
  }
  return "";
}

// Takes the first of the ways that take(way) does not refuse, as bfloat16 products and Winograd's do for some numbers.
template <class Take>
Way take_way(const Ways& ways, const Take& take) {
  const auto taken = std::find_if(ways.begin(), ways.end(), [&](const Candidate& each) { return take(each.way); });
  return taken->way;
}

Way take_way(const ForwardPlan& plan, const float* x, const float* weight, const float* bias, float* y) {
  return take_way(plan.ways, [&](Way way) {
    switch (way) {
      case Way::rows: return forward_by_rows(plan, x, weight, bias, y), true;
      case Way::lanes: return forward_by_lanes(plan, x, weight, bias, y), true;
      case Way::images: return forward_by_images(plan, x, weight, bias, y), true;
      case Way::bf16: return forward_by_bf16(plan, x, weight, bias, y);
      case Way::winograd: return forward_by_winograd(plan, x, weight, bias, y);
      default: return forward_by_tiles(plan, x, weight, bias, y), true;
    }
  });
}

Way take_way(const DataPlan& plan, const float* dy, const float* weight, float* dx) {
  if (!plan.meets_all()) {
    const int64_t count = plan.p.x_count();
    parallel_ranges(count, element_grain(count),
                    [&](int64_t begin, int64_t end) { std::fill(dx + begin, dx + end, 0.0f); });
  }
  return take_way(plan.ways, [&](Way way) {
    switch (way) {
      case Way::rows: return backward_data_by_rows(plan, dy, weight, dx), true;
      case Way::lanes: return backward_data_by_lanes(plan, dy, weight, dx), true;
      case Way::images: return backward_data_by_images(plan, dy, weight, dx), true;
      case Way::bf16: return backward_data_by_bf16(plan, dy, weight, dx);
      case Way::winograd: return backward_data_by_winograd(plan, dy, weight, dx);
      default: return backward_data_by_tiles(plan, dy, weight, dx), true;
    }
  });
}

Way take_way(const WeightPlan& plan, const float* dy, const float* x, float* dweight) {
  return take_way(plan.ways, [&](Way way) {
    switch (way) {
      case Way::rows: return backward_weight_by_rows(plan, dy, x, dweight), true;
      case Way::lanes: return backward_weight_by_lanes(plan, dy, x, dweight), true;
      case Way::images: return backward_weight_by_images(plan, dy, x, dweight), true;
      case Way::bf16: return backward_weight_by_bf16(plan, dy, x, dweight);
      case Way::winograd: return backward_weight_by_winograd(plan, dy, x, dweight);
      default: return backward_weight_by_dots(plan, dy, x, dweight), true;
    }
  });
}

// Zeros around an image times infinite weights are NaN that should not be. Lanes leave out the taps that miss it, and
// bfloat16 products and Winograd's refuse such weights. Where results are fewer than weights, they are looked through
// first.
bool has_nan_to_mend(Way taken, const float* weight, int64_t weights, const float* result, int64_t results) {
  if (taken == Way::lanes || taken == Way::bf16 || taken == Way::winograd) return false;
  return (weights < results || any_nan(result, results)) && !all_finite(weight, weights);
}

}  // namespace

std::optional<Way> asked_way() {
  const int index = asked_index;
  return index < 0 ? std::nullopt : std::optional(static_cast<Way>(index));
}

ForwardPlan plan_forward(const Conv2d& p) {
  ForwardPlan plan(p);
  if (few_channels(p)) {
    plan.ways = {{Way::rows, 0.0}};
  } else {
    plan.ways = cheapest_first({{Way::tiles, forward_tiles_cost(plan)},
                                {Way::lanes, forward_lanes_cost(plan)},
                                {Way::images, forward_images_cost(plan)},
                                {Way::bf16, forward_bf16_cost(plan)},
                                {Way::winograd, forward_winograd_cost(plan)}});
  }
  return plan;
}

DataPlan plan_backward_data(const Conv2d& p) {
  DataPlan plan(p);
  if (few_channels(p) || plan.meets_none()) {
    plan.ways = {{Way::rows, 0.0}};
  } else {
    plan.ways = cheapest_first({{Way::tiles, backward_data_tiles_cost(plan)},
                                {Way::lanes, backward_data_lanes_cost(plan)},
                                {Way::images, backward_data_images_cost(plan)},
                                {Way::bf16, backward_data_bf16_cost(plan)},
                                {Way::winograd, backward_data_winograd_cost(plan)}});
  }
  return plan;
}

WeightPlan plan_backward_weight(const Conv2d& p) {
  WeightPlan plan(p);
  if (few_channels(p)) {
    plan.ways = {{Way::rows, 0.0}};
  } else {
    plan.ways = cheapest_first({{Way::dots, backward_weight_dots_cost(plan)},
                                {Way::lanes, backward_weight_lanes_cost(plan)},
                                {Way::images, backward_weight_images_cost(plan)},
                                {Way::bf16, backward_weight_bf16_cost(plan)},
                                {Way::winograd, backward_weight_winograd_cost(plan)}});
  }
  return plan;
}

void run(const ForwardPlan& plan, const float* x, const float* weight, const float* bias, float* y) {
  const Conv2d& p = plan.p;
  if (p.group_channels() * p.taps() > longest_sum) return forward_by_definition(p, Which::all, x, weight, bias, y);
  const Way taken = take_way(plan, x, weight, bias, y);
  if (has_nan_to_mend(taken, weight, p.weight_count(), y, p.y_count())) {
    forward_by_definition(p, Which::nan, x, weight, bias, y);
  }
}

void run(const DataPlan& plan, const float* dy, const float* weight, float* dx) {
  const Conv2d& p = plan.p;
  if (p.group_filters() * p.taps() > longest_sum) return backward_data_by_definition(p, Which::all, dy, weight, dx);
  const Way taken = take_way(plan, dy, weight, dx);
  if (has_nan_to_mend(taken, weight, p.weight_count(), dx, p.x_count())) {
    backward_data_by_definition(p, Which::nan, dy, weight, dx);
  }
}

void run(const WeightPlan& plan, const float* dy, const float* x, float* dweight) {
  const Conv2d& p = plan.p;
  const Way taken = take_way(plan, dy, x, dweight);
  if (taken != Way::winograd && any_nan(dweight, p.weight_count())) {  // Winograd's are finite
    backward_weight_by_definition(p, Which::nan, dy, x, dweight);
  }
}

void set_conv_way(const std::string& name) {
  const auto found = std::find(std::begin(way_names), std::end(way_names), name);
  check(name == "auto" || found != std::end(way_names), "set_conv_way: name must be \"auto\" or a way, got \"", name,
        "\"");
  asked_index = name == "auto" ? -1 : static_cast<int>(found - std::begin(way_names));
}

std::string conv2d_choice(const std::string& op, const Conv2d& p) {
  const Ways choice = op == "conv2d"                 ? plan_forward(p).ways
                      : op == "conv2d_backward_data" ? plan_backward_data(p).ways
                                                     : plan_backward_weight(p).ways;
  std::string text = message(name_of(choice[0].way), ": ", reason_of(choice[0].way));
  if (choice.size() > 1) text += "; in millions of multiply-adds ";
  for (std::size_t i = 0; choice.size() > 1 && i < choice.size(); ++i) {
    if (std::isinf(choice[i].cost)) continue;
    text += message(i > 0 ? ", " : "", name_of(choice[i].way), i > 0 ? " " : " cost ",
                    choice[i].cost * static_cast<double>(p.N * p.groups) / 1e6);
  }
  return text;
}

void conv2d_forward(const Conv2d& p, const float* x, const float* weight, const float* bias, float* y) {
  run(plan_forward(p), x, weight, bias, y);
}

void conv2d_backward_data(const Conv2d& p, const float* dy, const float* weight, float* dx) {
  run(plan_backward_data(p), dy, weight, dx);
}

void conv2d_backward_weight(const Conv2d& p, const float* dy, const float* x, float* dweight) {
  run(plan_backward_weight(p), dy, x, dweight);
}

void conv2d_backward_bias(const Conv2d& p, const float* dy, float* dbias) {
  const int64_t plane = p.window.h.output * p.window.w.output;
  parallel_for(p.K, [&](int64_t k) {
    double sum = 0.0;
    for (int64_t n = 0; n < p.N; ++n) sum += plane_kernels().sum(dy + (n * p.K + k) * plane, plane);
    dbias[k] = static_cast<float>(sum);
  });
}

}  // namespace dip::cpu
