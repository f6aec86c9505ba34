// The linear operators of a backend: y = activation(x · weightᵀ + bias), x (N, I), weight (O, I), y (N, O).
#pragma once

#include <cstdint>
#include <string>

#include "core/activation_kind.h"
#include "core/precision.h"
#include "core/reals.h"

namespace dip {

struct Linear {
  std::int64_t N = 0, in = 0, out = 0;
  ActivationSpec activation;
  Precision precision = Precision::highest;
};

namespace DIP_BACKEND {

void linear_forward(const Linear& p, Reals x, Reals weight, Reals bias, RealResults y);
void linear_backward_data(const Linear& p, Reals dy, Reals weight, RealResults dx);
void linear_backward_weight(const Linear& p, Reals dy, Reals x, RealResults dweight);
void linear_backward_bias(const Linear& p, Reals dy, RealResults dbias);

// In words, how this backend computes `op`, linear or one of its gradients, of float32, and why so.
std::string linear_choice(const std::string& op, const Linear& p);

// For tests and benchmarks: on the CPU "bf16" or "float32" instead of the cheaper one, "auto" for that again.
void set_linear_way(const std::string& name);

}  // namespace DIP_BACKEND
}  // namespace dip
