#pragma once

#include <cstdint>

namespace dip {

enum class LossKind { squared, absolute, squared_logarithm, smooth_l1 };

// d = x − t:  squared d², absolute |d|, squared_logarithm (log(x + 1) − log(t + 1))²,
// smooth_l1 d²/(2β) for |d| < β and |d| − β/2 beyond.
struct ElementwiseLoss {
  LossKind kind = LossKind::squared;
  float beta = 1.0f;
  float scale = 1.0f;  // of the gradient
};

}  // namespace dip
