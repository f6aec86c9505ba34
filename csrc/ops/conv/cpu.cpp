// Convolution on the CPU: which way, and why.
#include "core/check.h"
#include "core/parallel.h"
#include "ops/conv/conv.h"
#include "ops/conv/kernels.h"
#include "ops/conv/ways.h"

namespace dip::cpu {
namespace {

enum class Way { rows, tiles, lanes, dots };

struct Choice {
  Way way;
  double cost = 0.0, lanes_cost = 0.0;  // of the other way and of lanes, where they were compared
};

bool few_channels(const Conv2d& p) {
  return p.groups > 1 && p.group_filters() * p.group_channels() <= 4;
}

Choice cheaper(Way other, double cost, double lanes_cost) {
  return {lanes_cost < cost ? Way::lanes : other, cost, lanes_cost};
}

Choice choose_forward(const Conv2d& p) {
  return few_channels(p) ? Choice{Way::rows} : cheaper(Way::tiles, forward_tiles_cost(p), forward_lanes_cost(p));
}

Choice choose_backward_data(const Conv2d& p) {
  return few_channels(p) ? Choice{Way::rows}
                         : cheaper(Way::tiles, backward_data_tiles_cost(p), backward_data_lanes_cost(p));
}

Choice choose_backward_weight(const Conv2d& p) {
  return few_channels(p) ? Choice{Way::rows}
                         : cheaper(Way::dots, backward_weight_dots_cost(p), backward_weight_lanes_cost(p));
}

}  // namespace

std::string conv2d_choice(const std::string& op, const Conv2d& p) {
  const Choice choice = op == "conv2d"                 ? choose_forward(p)
                        : op == "conv2d_backward_data" ? choose_backward_data(p)
                                                       : choose_backward_weight(p);
  const auto millions = [&](double cost) { return cost * static_cast<double>(p.N * p.groups) / 1e6; };
  const std::string costs = message("; in millions of multiply-adds lanes cost ", millions(choice.lanes_cost), ", ",
                                    op == "conv2d_backward_weight" ? "dots " : "tiles ", millions(choice.cost));
  switch (choice.way) {
    case Way::rows: return "rows: groups of so few channels would leave tiles empty";
    case Way::tiles: return "tiles: the columns of the result are the vector" + costs;
    case Way::lanes: return "lanes: the channels of the result, or the filters, are the vector" + costs;
    case Way::dots: return "dots: the positions are the vector" + costs;
  }
  return "";
}

void conv2d_forward(const Conv2d& p, const float* x, const float* weight, const float* bias, float* y) {
  switch (choose_forward(p).way) {
    case Way::rows: return forward_by_rows(p, x, weight, bias, y);
    case Way::lanes: return forward_by_lanes(p, x, weight, bias, y);
    default: return forward_by_tiles(p, x, weight, bias, y);
  }
}

void conv2d_backward_data(const Conv2d& p, const float* dy, const float* weight, float* dx) {
  switch (choose_backward_data(p).way) {
    case Way::rows: return backward_data_by_rows(p, dy, weight, dx);
    case Way::lanes: return backward_data_by_lanes(p, dy, weight, dx);
    default: return backward_data_by_tiles(p, dy, weight, dx);
  }
}

void conv2d_backward_weight(const Conv2d& p, const float* dy, const float* x, float* dweight) {
  switch (choose_backward_weight(p).way) {
    case Way::rows: return backward_weight_by_rows(p, dy, x, dweight);
    case Way::lanes: return backward_weight_by_lanes(p, dy, x, dweight);
    default: return backward_weight_by_dots(p, dy, x, dweight);
  }
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
