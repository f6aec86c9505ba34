// The update rules, as plain data.
#pragma once

#include <cmath>
#include <cstdint>

#include "core/host_device.h"

namespace dip {

enum class Rule { gradient_descent, momentum, nesterov, adagrad, adadelta, adam, adamw };

struct Update {
  Rule rule = Rule::gradient_descent;
  float decay1 = 0.0f;               // momentum μ, AdaDelta's ρ, Adam's β₁
  float decay2 = 0.0f;               // Adam's β₂
  float rest1 = 1.0f, rest2 = 1.0f;  // 1 − decay1 and 1 − decay2, rounded once: 1 − 0.999f is off by 3e-5
  float epsilon = 0.0f;
  float correction1 = 1.0f;  // Adam's 1 − β₁ᵗ
  float correction2 = 1.0f;  // Adam's √(1 − β₂ᵗ)
  // On the GPU t may lie there, to count on when a graph is replayed; then the corrections come from it.
  const std::int64_t* device_step = nullptr;
  double exact_decay1 = 0.0, exact_decay2 = 0.0;
  // Likewise the learning rates of all tensors.
  const float* device_rates = nullptr;
  // Gradients are scaled so that all together have at most the length clip_norm, and then cut off at ±clip_value.
  double clip_norm = HUGE_VAL;
  float clip_value = HUGE_VALF;
};

// What that scales them by.
DIP_HOST_DEVICE inline double clip_factor(double norm, double clip_norm) {
  return norm > clip_norm ? clip_norm / norm : 1.0;
}

// One tensor and its state: momentum's velocity, AdaGrad's Σg², AdaDelta's E[g²] and E[Δ²], Adam's m, v and, for
// AMSGrad, the largest v so far; null where there is none.
struct UpdateTensor {
  float* w;
  const float* gradient;
  float *state1, *state2, *state3;
  std::int64_t count;
  float learning_rate;
  float weight_decay;  // λ: adds λ·w to the gradient (L2); AdamW shrinks w by 1 − ε·λ instead
};

}  // namespace dip
