// How exactly float32 products of convolutions and linear layers are computed.
#pragma once

#include <string>

#include "core/check.h"

namespace dip {

enum class Precision {
  highest,  // float32, or as exact
  high,     // numbers split in two halves of 8 bits or more: three products
  medium,   // one product of numbers rounded to 8 bits (bfloat16) or more (TF32)
};

// The least precision that will do; a backend may be more precise.
inline Precision make_precision(const char* op, const std::string& name) {
  if (name == "highest") return Precision::highest;
  if (name == "high") return Precision::high;
  check(name == "medium", op, ": precision must be \"highest\", \"high\" or \"medium\", got \"", name, "\"");
  return Precision::medium;
}

}  // namespace dip
