#include "ops/activation/spec.h"

#include <cmath>

#include "core/check.h"

namespace dip {

ActivationSpec make_activation(const char* op, const std::string& name, float alpha) {
  static constexpr const char* names[] = {"none", "step", "sigmoid", "tanh", "relu", "leaky_relu", "elu"};
  for (int kind = 0; kind < 7; ++kind) {
    if (name != names[kind]) continue;
    check(std::isfinite(alpha) && alpha >= 0.0f, op, ": the parameter of activation \"", name,
          "\" must be finite and at least 0, got ", alpha);
    return {static_cast<Activation>(kind), alpha};
  }
  throw ValueError(message(op, ": activation must be None, \"step\", \"sigmoid\", \"tanh\", \"relu\", ",
                           "\"leaky_relu\" or \"elu\", got \"", name, "\""));
}

}  // namespace dip
