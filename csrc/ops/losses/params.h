#pragma once

#include <cstdint>

namespace dip {

enum class LossKind { squared, absolute, squared_logarithm, smooth_l1, huber };

// d = x − t:  squared d², absolute |d|, squared_logarithm (log(x + 1) − log(t + 1))²,
// smooth_l1 d²/(2β) for |d| < β and |d| − β/2 beyond, huber β times as much.
struct ElementwiseLoss {
  LossKind kind = LossKind::squared;
  float beta = 1.0f;
  float scale = 1.0f;  // of the gradient
};

// Σ_{j ≠ y} max(0, s_j − s_y + margin)^p for scores (N, C), times the weight of class y where there are weights.
struct HingeLoss {
  std::int64_t N, C;
  float margin;
  bool squares;  // p = 2
  float scale;   // of the gradient
};

// −log p_y for probabilities (outer, C, inner).
struct ProbabilityLoss {
  std::int64_t outer, C, inner;
  float scale;  // of the gradient

  std::int64_t positions() const { return outer * inner; }
};

}  // namespace dip
