// Warping: an image is read at other places, between its elements.
#pragma once

#include <cmath>
#include <cstdint>

#include "core/host_device.h"

namespace dip {

enum class Interpolation { nearest, bilinear, bicubic };

// y (N, C, out_h, out_w) of x (N, C, H, W); flow (N, 2, out_h, out_w) says how far to the right and down of its own
// place each result is read.
struct Warp {
  std::int64_t N = 0, C = 0, H = 0, W = 0, out_h = 0, out_w = 0;
  Interpolation interpolation = Interpolation::bilinear;

  DIP_HOST_DEVICE std::int64_t places() const { return out_h * out_w; }
};

// A place is (x, y) from the middle of `height` × `width` elements; a matrix says where it is read.
struct AffineFlow {
  std::int64_t N = 0, height = 0, width = 0;

  DIP_HOST_DEVICE float x(std::int64_t column) const {
    return static_cast<float>(static_cast<double>(column) - 0.5 * static_cast<double>(width - 1));
  }
  DIP_HOST_DEVICE float y(std::int64_t row) const {
    return static_cast<float>(static_cast<double>(row) - 0.5 * static_cast<double>(height - 1));
  }
};

// Along an axis: the elements that a place between them takes, from `first`, with their weights and the derivatives of
// these by the place.
struct Taps {
  static constexpr int most = 4;
  std::int64_t first;
  int count;
  float weight[most], slope[most];
};

// Keys 1981, with a = −3/4.
DIP_HOST_DEVICE inline double cubic_weight(double distance) {
  const double d = std::fabs(distance), a = -0.75;
  return d <= 1.0 ? ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0 : ((a * d - 5.0 * a) * d + 8.0 * a) * d - 4.0 * a;
}

DIP_HOST_DEVICE inline double cubic_slope(double distance) {
  const double d = std::fabs(distance), a = -0.75, sign = distance < 0.0 ? -1.0 : 1.0;
  return sign * (d <= 1.0 ? (3.0 * (a + 2.0) * d - 2.0 * (a + 3.0)) * d : (3.0 * a * d - 10.0 * a) * d + 8.0 * a);
}

// Of the place `flow` elements behind the one at `i`. A place that is no number, or very far away, is outside.
DIP_HOST_DEVICE inline Taps taps_at(Interpolation interpolation, std::int64_t i, float flow) {
  const double far = 1e9, moved = static_cast<double>(i) + static_cast<double>(flow);
  const double place = moved > -far ? (moved < far ? moved : far) : -far;
  if (interpolation == Interpolation::nearest) {
    return {static_cast<std::int64_t>(std::floor(place + 0.5)), 1, {1.0f}, {0.0f}};
  }
  const double below = std::floor(place), rest = place - below;
  const std::int64_t base = static_cast<std::int64_t>(below);
  if (interpolation == Interpolation::bilinear) {
    return {base, 2, {static_cast<float>(1.0 - rest), static_cast<float>(rest)}, {-1.0f, 1.0f}};
  }
  Taps taps = {base - 1, Taps::most, {}, {}};
  for (int k = 0; k < Taps::most; ++k) {
    taps.weight[k] = static_cast<float>(cubic_weight(rest - (k - 1)));
    taps.slope[k] = static_cast<float>(cubic_slope(rest - (k - 1)));
  }
  return taps;
}

}  // namespace dip
