// The fused softmax cross-entropy, as plain data.
#pragma once

#include <cstdint>

#include "ops/losses/reduction.h"

namespace dip {

constexpr float least_running_mean = 1e-6f;  // γ is at most 13.8

// Logits z (outer, classes, inner); the target t of a position is a class index, or a distribution over the classes.
// With p = softmax(z), smoothed target t' = (1 − ε)·t + ε/C and class weights w:
//   loss = −Σ_c w_c·t'_c·log p_c,   dloss/dz_j = (Σ_c w_c·t'_c)·p_j − w_j·t'_j.
// With γ > 0 (focal, class indices without smoothing): loss = −w_t·(1 − p_t)^γ·log p_t. Automated, γ = −log p̂ of the
// running mean p̂ of the labels' probabilities.
struct SoftmaxCrossEntropy {
  std::int64_t outer = 0, classes = 0, inner = 0;
  const std::int64_t* labels = nullptr;  // class indices …
  const float* distribution = nullptr;   // … or this one
  const float* weight = nullptr;         // of the classes; null for all 1
  std::int64_t ignore_index = -100;      // positions with this label add nothing
  float smoothing = 0.0f;
  bool takes_logarithms = false;  // −Σ w·t·x of x that are logarithms of probabilities: nothing is normalised
  float gamma = 0.0f;
  const float* running = nullptr;  // on the GPU p̂, which γ is computed from there
  float* probabilities = nullptr;  // where w_t·p_t of every position goes
  Reduction reduction = Reduction::mean;

  // Labels were checked, but the caller's other threads may have changed them since: each is read once, and one that is
  // no class adds nothing.
  bool counts(std::int64_t label) const { return label != ignore_index && label >= 0 && label < classes; }
};

}  // namespace dip
