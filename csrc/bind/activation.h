// From the name of an activation and its parameter to what the kernels take.
#pragma once

#include <string>

#include "bind/arguments.h"

namespace dip {

// ValueError for an unknown name, or for a parameter that makes the activation impossible to differentiate from its
// result (negative, infinite or NaN).
ActivationSpec make_activation(const Arguments& args, py::handle name, py::handle parameter);

}  // namespace dip
