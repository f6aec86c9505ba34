// Boxes as four numbers, and the overlap of two.
#pragma once

#include "core/host_device.h"

namespace dip {

// What the four numbers are: two corners (x₁, y₁, x₂, y₂), a corner and the size (x₁, y₁, w, h), or the centre and the
// size (c_x, c_y, w, h).
enum class BoxFormat { xyxy, xywh, cxcywh };

// One axis of a box, from a format to another: a and b are its first and second number of that axis. Nothing is rounded
// twice, so that sizes survive where they are only passed on.
static DIP_HOST_DEVICE inline void convert_axis(BoxFormat in, BoxFormat out, float& a, float& b) {
  if (in == out) return;
  if (in == BoxFormat::xyxy) {
    const float size = b - a;
    if (out == BoxFormat::cxcywh) a = 0.5f * a + 0.5f * b;
    b = size;
    return;
  }
  const float half = 0.5f * b;
  if (in == BoxFormat::xywh) {
    if (out == BoxFormat::xyxy) {
      b = a + b;
    } else {
      a = a + half;
    }
    return;
  }
  const float centre = a;
  a = centre - half;
  if (out == BoxFormat::xyxy) b = centre + half;
}

// The four numbers in float64, where products of float32 are exact.
struct Corners {
  double x1, y1, x2, y2;
};

static DIP_HOST_DEVICE inline double side(double from, double to) {
  return to > from ? to - from : 0.0;
}

static DIP_HOST_DEVICE inline double area_of(const Corners& box) {
  return side(box.x1, box.x2) * side(box.y1, box.y2);
}

struct Overlap {
  double intersection, all;  // the areas that are in both, and in either
};

static DIP_HOST_DEVICE inline Overlap overlap_of(const Corners& a, const Corners& b) {
  const double left = a.x1 > b.x1 ? a.x1 : b.x1, right = a.x2 < b.x2 ? a.x2 : b.x2;
  const double top = a.y1 > b.y1 ? a.y1 : b.y1, bottom = a.y2 < b.y2 ? a.y2 : b.y2;
  const double intersection = side(left, right) * side(top, bottom);
  return {intersection, area_of(a) + area_of(b) - intersection};
}

// Intersection over union, 0 where both are empty. `generalized` takes off the share of the smallest box around both
// that is in neither (Rezatofighi and others 2019).
static DIP_HOST_DEVICE inline float iou_of(const Corners& a, const Corners& b, bool generalized) {
  const Overlap overlap = overlap_of(a, b);
  // Without a branch around the division, so that loops over boxes vectorise.
  const double iou = overlap.intersection / (overlap.all > 0.0 ? overlap.all : 1.0);
  if (!generalized) return static_cast<float>(iou);
  const double around = side(a.x1 < b.x1 ? a.x1 : b.x1, a.x2 > b.x2 ? a.x2 : b.x2) *
                        side(a.y1 < b.y1 ? a.y1 : b.y1, a.y2 > b.y2 ? a.y2 : b.y2);
  return static_cast<float>(around > 0.0 ? iou - (around - overlap.all) / around : iou);
}

}  // namespace dip
