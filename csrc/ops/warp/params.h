// Warping: an image is read at other places, between its elements.
#pragma once

#include <cmath>
#include <cstdint>

#include "core/host_device.h"

namespace dip {

enum class Interpolation { nearest, bilinear, bicubic };

// How many elements along an axis a place takes.
static DIP_HOST_DEVICE inline constexpr int taps_of(Interpolation interpolation) {
  return interpolation == Interpolation::bicubic ? 4 : interpolation == Interpolation::bilinear ? 2 : 1;
}

template <int taps_>
struct TapCount {
  static constexpr int taps = taps_;
};

// Calls run with the interpolation's number of taps, so that loops over them can be unrolled.
template <class Run>
static inline void with_taps(Interpolation interpolation, const Run& run) {
  switch (interpolation) {
    case Interpolation::nearest: return run(TapCount<taps_of(Interpolation::nearest)>{});
    case Interpolation::bilinear: return run(TapCount<taps_of(Interpolation::bilinear)>{});
    case Interpolation::bicubic: return run(TapCount<taps_of(Interpolation::bicubic)>{});
  }
}

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
static DIP_HOST_DEVICE inline float cubic_weight(float distance) {
  const float d = distance < 0.0f ? -distance : distance, a = -0.75f;
  return d <= 1.0f ? ((a + 2.0f) * d - (a + 3.0f)) * d * d + 1.0f : ((a * d - 5.0f * a) * d + 8.0f * a) * d - 4.0f * a;
}

static DIP_HOST_DEVICE inline float cubic_slope(float distance) {
  const float d = distance < 0.0f ? -distance : distance, a = -0.75f, sign = distance < 0.0f ? -1.0f : 1.0f;
  return sign *
         (d <= 1.0f ? (3.0f * (a + 2.0f) * d - 2.0f * (a + 3.0f)) * d : (3.0f * a * d - 10.0f * a) * d + 8.0f * a);
}

// A place `flow` elements behind an element: so many whole ones, and the rest, which is exact. A flow that is no
// number, or leads very far, leads outside.
struct Step {
  std::int32_t whole;
  float rest;
};

static DIP_HOST_DEVICE inline Step step_of(float flow) {
  const float far = 1e9f, near = flow > -far ? (flow < far ? flow : far) : -far, below = std::floor(near);
  return {static_cast<std::int32_t>(below), near - below};
}

static DIP_HOST_DEVICE inline Taps taps_at(Interpolation interpolation, std::int64_t i, float flow) {
  const Step step = step_of(flow);
  const std::int64_t base = i + step.whole;
  if (interpolation == Interpolation::nearest) return {base + (step.rest >= 0.5f ? 1 : 0), 1, {1.0f}, {0.0f}};
  if (interpolation == Interpolation::bilinear) {
    return {base, 2, {1.0f - step.rest, step.rest}, {-1.0f, 1.0f}};
  }
  Taps taps = {base - 1, Taps::most, {}, {}};
  for (int k = 0; k < Taps::most; ++k) {
    taps.weight[k] = cubic_weight(step.rest - static_cast<float>(k - 1));
    taps.slope[k] = cubic_slope(step.rest - static_cast<float>(k - 1));
  }
  return taps;
}

}  // namespace dip
