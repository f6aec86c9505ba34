// From the name of an activation and its parameter to what the kernels take.
#pragma once

#include <string>

#include "core/activation_kind.h"

namespace dip {

// ValueError, naming `op`, for an unknown name or for an alpha that makes the activation impossible to differentiate
// from its result (negative, infinite or NaN).
ActivationSpec make_activation(const char* op, const std::string& name, float alpha);

}  // namespace dip
