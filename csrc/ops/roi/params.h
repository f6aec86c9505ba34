// Regions of interest: where the bins of a box lie on a feature map.
#pragma once

#include <cstdint>

#include "core/host_device.h"

namespace dip {

// K boxes, each on one of N images of C maps H × W, divided into bins_h × bins_w bins.
struct Roi {
  std::int64_t N = 0, C = 0, H = 0, W = 0, K = 0;
  std::int64_t bins_h = 1, bins_w = 1;
  double scale = 1.0;         // from the boxes' units to elements of the map
  std::int64_t samples = 2;   // of roi_align, along each axis of a bin
  bool half_a_pixel = false;  // of roi_align: element i has its centre at i + ½
};

// A coordinate on the map, near enough to it that it fits an integer; NaN is far outside.
DIP_HOST_DEVICE inline double on_map(double coordinate, double scale) {
  const double far = 1e9, at = coordinate * scale;
  return at > -far ? (at < far ? at : far) : -far;
}

// The elements of a bin along an axis: from `first` to before `last`.
struct Bin {
  std::int64_t first, last;
};

DIP_HOST_DEVICE inline std::int64_t rounded(double x) {
  return x < 0.0 ? -static_cast<std::int64_t>(0.5 - x) : static_cast<std::int64_t>(x + 0.5);
}

// Of the box's elements, both ends included, as near to equal as whole elements allow; neighbours may share one.
DIP_HOST_DEVICE inline Bin pool_bin(double start, double end, double scale, std::int64_t bin, std::int64_t bins,
                                    std::int64_t extent) {
  const std::int64_t from = rounded(on_map(start, scale)), to = rounded(on_map(end, scale));
  const std::int64_t length = to >= from ? to - from + 1 : 1;
  const std::int64_t first = from + bin * length / bins, last = from + ((bin + 1) * length + bins - 1) / bins;
  return {first < 0 ? 0 : first, last > extent ? extent : last};
}

// One sample along an axis lies between two elements.
struct Sample {
  std::int64_t low, high;
  float weight_low, weight_high;
};

// Sample s of a bin. Beyond one element outside the map it is nothing; nearer to the map, the element at the edge.
DIP_HOST_DEVICE inline Sample align_sample(const Roi& p, double start, double end, std::int64_t bin, std::int64_t s,
                                           std::int64_t bins, std::int64_t extent) {
  const double from = on_map(start, p.scale);
  double length = on_map(end, p.scale) - from;
  if (!p.half_a_pixel && length < 1.0) length = 1.0;
  double at = from + (static_cast<double>(bin) + (static_cast<double>(s) + 0.5) / static_cast<double>(p.samples)) *
                         length / static_cast<double>(bins);
  if (p.half_a_pixel) at -= 0.5;
  if (at < -1.0 || at > static_cast<double>(extent)) return {0, 0, 0.0f, 0.0f};
  if (at < 0.0) at = 0.0;
  const std::int64_t low = static_cast<std::int64_t>(at);
  if (low >= extent - 1) return {extent - 1, extent - 1, 1.0f, 0.0f};
  const float weight = static_cast<float>(at - static_cast<double>(low));
  return {low, low + 1, 1.0f - weight, weight};
}

}  // namespace dip
