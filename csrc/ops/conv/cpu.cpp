// Convolution on the CPU: which way, and why.
#include "core/check.h"
#include "core/parallel.h"
#include "ops/conv/conv.h"
#include "ops/conv/kernels.h"
#include "ops/conv/ways.h"

namespace dip::cpu {
namespace {

enum class Way { rows, tiles, lanes, pixels, dots };

struct Choice {
  Way way;
  double tiles_cost = 0.0, lanes_cost = 0.0;  // where they were compared
};

bool few_channels(const Conv2d& p) {
  return p.groups > 1 && p.group_filters() * p.group_channels() <= 4;
}

Choice cheaper(double tiles, double lanes) {
  return {lanes < tiles ? Way::lanes : Way::tiles, tiles, lanes};
}

Choice choose_forward(const Conv2d& p) {
  return few_channels(p) ? Choice{Way::rows} : cheaper(forward_tiles_cost(p), forward_lanes_cost(p));
}

Choice choose_backward_data(const Conv2d& p) {
  return few_channels(p) ? Choice{Way::rows} : cheaper(backward_data_tiles_cost(p), backward_data_lanes_cost(p));
}

Choice choose_backward_weight(const Conv2d& p) {
  return {few_channels(p) ? Way::rows : pixels_fill_vectors(p) ? Way::pixels : Way::dots};
}

}  // namespace

std::string conv2d_choice(const std::string& op, const Conv2d& p) {
  const Choice choice = op == "conv2d"                 ? choose_forward(p)
                        : op == "conv2d_backward_data" ? choose_backward_data(p)
                                                       : choose_backward_weight(p);
  const auto costs = [&] {
    const auto millions = [&](double cost) { return cost * static_cast<double>(p.N * p.groups) / 1e6; };
    return message("; in millions of multiply-adds lanes cost ", millions(choice.lanes_cost), " and tiles ",
                   millions(choice.tiles_cost));
  };
  switch (choice.way) {
    case Way::rows: return "rows: groups of so few channels would leave tiles empty";
    case Way::tiles: return "tiles: the columns of the result are the vector" + costs();
    case Way::lanes: return "lanes: the rows of the result, its channels, are the vector" + costs();
    case Way::pixels: return "pixels: the channels, with the taps of a row, are the vector and fill it";
    case Way::dots: return "dots: channels and taps of a row are too few for a vector, so the positions are it";
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
    case Way::pixels: return backward_weight_by_pixels(p, dy, x, dweight);
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
