// Convolution on the CPU: which way, and why.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <vector>

#include "core/check.h"
#include "core/finite.h"
#include "core/parallel.h"
#include "ops/conv/conv.h"
#include "ops/conv/definition.h"
#include "ops/conv/kernels.h"
#include "ops/conv/phase.h"
#include "ops/conv/ways.h"

namespace dip::cpu {
namespace {

enum class Way { rows, tiles, lanes, images, dots, bf16, winograd };

struct Candidate {
  Way way;
  double cost;  // for one image and group, in multiply-adds of one lane
};

// The ways that were compared, the cheapest first.
using Choice = std::vector<Candidate>;

bool few_channels(const Conv2d& p) {
  return p.groups > 1 && p.group_filters() * p.group_channels() <= 4;
}

constexpr const char* way_names[] = {"rows", "tiles", "lanes", "images", "dots", "bf16", "winograd"};

// The index of the way that tests and benchmarks ask for; −1: the cheapest.
std::atomic<int> asked_way{-1};

Choice cheapest_first(Choice choice) {
  const int asked = asked_way;
  const auto comes_first = [asked](const Candidate& each) {
    return static_cast<int>(each.way) == asked && !std::isinf(each.cost);
  };
  std::stable_sort(choice.begin(), choice.end(), [&](const Candidate& a, const Candidate& b) {
    return comes_first(a) != comes_first(b) ? comes_first(a) : a.cost < b.cost;
  });
  return choice;
}

Choice choose_forward(const Conv2d& p) {
  if (few_channels(p)) return {{Way::rows, 0.0}};
  return cheapest_first({{Way::tiles, forward_tiles_cost(p)},
                         {Way::lanes, forward_lanes_cost(p)},
                         {Way::images, forward_images_cost(p)},
                         {Way::bf16, forward_bf16_cost(p)},
                         {Way::winograd, forward_winograd_cost(p)}});
}

Choice choose_backward_data(const Conv2d& p) {
  const bool only_padding = met_phases(p.window.h).empty() || met_phases(p.window.w).empty();
  if (few_channels(p) || only_padding) return {{Way::rows, 0.0}};
  return cheapest_first({{Way::tiles, backward_data_tiles_cost(p)},
                         {Way::lanes, backward_data_lanes_cost(p)},
                         {Way::images, backward_data_images_cost(p)},
                         {Way::bf16, backward_data_bf16_cost(p)},
                         {Way::winograd, backward_data_winograd_cost(p)}});
}

Choice choose_backward_weight(const Conv2d& p) {
  if (few_channels(p)) return {{Way::rows, 0.0}};
  return cheapest_first({{Way::dots, backward_weight_dots_cost(p)},
                         {Way::lanes, backward_weight_lanes_cost(p)},
                         {Way::images, backward_weight_images_cost(p)},
                         {Way::bf16, backward_weight_bf16_cost(p)},
                         {Way::winograd, backward_weight_winograd_cost(p)}});
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

void run_forward(const Conv2d& p, const float* x, const float* weight, const float* bias, float* y) {
  for (const Candidate& candidate : choose_forward(p)) {
    switch (candidate.way) {
      case Way::rows: return forward_by_rows(p, x, weight, bias, y);
      case Way::lanes: return forward_by_lanes(p, x, weight, bias, y);
      case Way::images: return forward_by_images(p, x, weight, bias, y);
      case Way::bf16:
        if (forward_by_bf16(p, x, weight, bias, y)) return;
        break;
      case Way::winograd:
        if (forward_by_winograd(p, x, weight, bias, y)) return;
        break;
      default: return forward_by_tiles(p, x, weight, bias, y);
    }
  }
}

void run_backward_data(const Conv2d& p, const float* dy, const float* weight, float* dx) {
  if (!meets_all(p.window.h) || !meets_all(p.window.w)) {
    const int64_t count = p.x_count();
    parallel_ranges(count, element_grain(count),
                    [&](int64_t begin, int64_t end) { std::fill(dx + begin, dx + end, 0.0f); });
  }
  for (const Candidate& candidate : choose_backward_data(p)) {
    switch (candidate.way) {
      case Way::rows: return backward_data_by_rows(p, dy, weight, dx);
      case Way::lanes: return backward_data_by_lanes(p, dy, weight, dx);
      case Way::images: return backward_data_by_images(p, dy, weight, dx);
      case Way::bf16:
        if (backward_data_by_bf16(p, dy, weight, dx)) return;
        break;
      case Way::winograd:
        if (backward_data_by_winograd(p, dy, weight, dx)) return;
        break;
      default: return backward_data_by_tiles(p, dy, weight, dx);
    }
  }
}

void run_backward_weight(const Conv2d& p, const float* dy, const float* x, float* dweight) {
  for (const Candidate& candidate : choose_backward_weight(p)) {
    switch (candidate.way) {
      case Way::rows: return backward_weight_by_rows(p, dy, x, dweight);
      case Way::lanes: return backward_weight_by_lanes(p, dy, x, dweight);
      case Way::images: return backward_weight_by_images(p, dy, x, dweight);
      case Way::bf16:
        if (backward_weight_by_bf16(p, dy, x, dweight)) return;
        break;
      case Way::winograd:
        if (backward_weight_by_winograd(p, dy, x, dweight)) return;
        break;
      default: return backward_weight_by_dots(p, dy, x, dweight);
    }
  }
}

}  // namespace

void set_conv_way(const std::string& name) {
  const auto found = std::find(std::begin(way_names), std::end(way_names), name);
  check(name == "auto" || found != std::end(way_names), "set_conv_way: name must be \"auto\" or a way, got \"", name,
        "\"");
  asked_way = name == "auto" ? -1 : static_cast<int>(found - std::begin(way_names));
}

double forward_cost(const Conv2d& p) {
  return choose_forward(p)[0].cost;
}

double backward_data_cost(const Conv2d& p) {
  return choose_backward_data(p)[0].cost;
}

double backward_weight_cost(const Conv2d& p) {
  return choose_backward_weight(p)[0].cost;
}

std::string conv2d_choice(const std::string& op, const Conv2d& p) {
  const Choice choice = op == "conv2d"                 ? choose_forward(p)
                        : op == "conv2d_backward_data" ? choose_backward_data(p)
                                                       : choose_backward_weight(p);
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
  if (p.group_channels() * p.taps() > longest_sum) return forward_by_definition(p, Which::all, x, weight, bias, y);
  run_forward(p, x, weight, bias, y);
  if (!all_finite(weight, p.weight_count())) forward_by_definition(p, Which::nan, x, weight, bias, y);
}

void conv2d_backward_data(const Conv2d& p, const float* dy, const float* weight, float* dx) {
  if (p.group_filters() * p.taps() > longest_sum) return backward_data_by_definition(p, Which::all, dy, weight, dx);
  run_backward_data(p, dy, weight, dx);
  if (!all_finite(weight, p.weight_count())) backward_data_by_definition(p, Which::nan, dy, weight, dx);
}

void conv2d_backward_weight(const Conv2d& p, const float* dy, const float* x, float* dweight) {
  run_backward_weight(p, dy, x, dweight);
  if (any_nan(dweight, p.weight_count())) backward_weight_by_definition(p, Which::nan, dy, x, dweight);
}

void conv2d_backward_bias(const Conv2d& p, const float* dy, float* dbias) {
  const int64_t plane = p.window.h.output * p.window.w.output;
  parallel_for(p.K, [&](int64_t k) {
    double sum = 0.0;
    for (int64_t n = 0; n < p.N; ++n) sum += conv_kernels().sum(dy + (n * p.K + k) * plane, plane);
    dbias[k] = static_cast<float>(sum);
  });
}

}  // namespace dip::cpu
