// Bilinear interpolation between planes of two sizes, as plain data, and where along an axis a result comes from.
#pragma once

#include <cstdint>

#include "core/host_device.h"

namespace dip {

struct Bilinear {
  std::int64_t height, width;              // of x
  std::int64_t large_height, large_width;  // of y, which may be smaller
  bool align_corners;                      // the corners' centres lie upon each other, instead of their outer edges
};

// A result is x[first]·(1 − weight) + x[first + 1]·weight; beyond the last element that one stands for its neighbour.
struct Source {
  std::int64_t first;
  float weight;
};

// Of result `o` of `large`, from `small` elements. In whole numbers, so that every backend has the same weights.
DIP_HOST_DEVICE inline Source source_of(std::int64_t o, std::int64_t small, std::int64_t large, bool align_corners) {
  // o·(small − 1)/(large − 1), or (o + ½)·small/large − ½
  const std::int64_t below = align_corners ? (large > 1 ? large - 1 : 1) : 2 * large;
  const std::int64_t above = align_corners ? o * (small - 1) : (2 * o + 1) * small - large;
  if (above <= 0) return {0, 0.0f};
  const std::int64_t first = above / below;
  return {first, static_cast<float>(above % below) / static_cast<float>(below)};
}

// The first result whose source is element `i` or one behind it.
DIP_HOST_DEVICE inline std::int64_t first_from(std::int64_t i, std::int64_t small, std::int64_t large,
                                               bool align_corners) {
  if (i <= 0) return 0;
  if (align_corners) return small > 1 && large > 1 ? (i * (large - 1) + small - 2) / (small - 1) : large;
  return ((2 * i + 1) * large - small + 2 * small - 1) / (2 * small);
}

}  // namespace dip
