#include "bind/activation.h"

#include <cmath>

namespace dip {

ActivationSpec make_activation(const Arguments& args, py::handle given, py::handle parameter) {
  const std::string name = args.text(given, "activation");
  static constexpr const char* names[] = {"none", "step", "sigmoid", "tanh", "relu", "leaky_relu", "elu"};
  for (int kind = 0; kind < 7; ++kind) {
    if (name != names[kind]) continue;
    // The function of that name has an argument for it, others have it beside the name.
    const bool own = std::string(args.op()).rfind(name, 0) == 0;
    const char* label = !own ? "activation[1]" : name == "leaky_relu" ? "negative_slope" : "alpha";
    const auto alpha = static_cast<float>(args.real(parameter, label));
    check(std::isfinite(alpha) && alpha >= 0.0f, args.op(), ": ", label, " must be finite and at least 0, got ", alpha);
    return {static_cast<Activation>(kind), alpha};
  }
  throw ValueError(message(args.op(), ": activation must be None, \"step\", \"sigmoid\", \"tanh\", \"relu\", ",
                           "\"leaky_relu\" or \"elu\", got \"", name, "\""));
}

}  // namespace dip
