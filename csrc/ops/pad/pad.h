// Padding and cropping of a backend, over planes (planes, H, W) → (planes, O_h, O_w).
#pragma once

#include "core/reals.h"

namespace dip::DIP_BACKEND {

struct Pad2d {
  std::int64_t height, width, new_height, new_width;
  std::int64_t top, left;  // where x begins in y; below zero where it is cropped
  float value;
};

void pad2d(const Pad2d& p, std::int64_t planes, Reals x, RealResults y);

}  // namespace dip::DIP_BACKEND
