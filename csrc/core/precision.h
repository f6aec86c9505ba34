// How exactly float32 products of convolutions and linear layers are computed.
#pragma once

#include <string>

#include "core/check.h"

namespace dip {

enum class Precision {
  highest,  // float32
  high,     // float32 split in two: three products of 11-bit halves
  medium,   // one product of numbers rounded to 11 bits (TF32)
};

// The least precision that will do; a backend may be more precise.
inline Precision make_precision(const char* op, const std::string& name) {
  if (name == "highest") return Precision::highest;
  if (name == "high") return Precision::high;
  check(name == "medium", op, ": precision must be \"highest\", \"high\" or \"medium\", got \"", name, "\"");
  return Precision::medium;
}

}  // namespace dip
