// What becomes of the losses of the single elements or positions.
#pragma once

#include <string>

#include "core/check.h"

namespace dip {

enum class Reduction { none, mean, sum };

inline Reduction make_reduction(const char* op, const std::string& name) {
  if (name == "mean") return Reduction::mean;
  if (name == "sum") return Reduction::sum;
  check(name == "none", op, ": reduction must be \"mean\", \"sum\" or \"none\", got \"", name, "\"");
  return Reduction::none;
}

}  // namespace dip
