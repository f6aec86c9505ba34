#pragma once

#include <cstdint>

namespace dip {

struct Softmax {
  std::int64_t outer = 0, classes = 0, inner = 0;
  bool logarithm = false;
};

}  // namespace dip
