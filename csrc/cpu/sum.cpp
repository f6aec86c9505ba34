#include "core/sum.h"

#include <cmath>

namespace dip::cpu {

void sum(const float* values, std::int64_t count, double divisor, double* total) {
  double all = 0.0;
  for (std::int64_t i = 0; i < count; ++i) all += values[i];
  *total = divisor == 0.0 ? std::nan("") : all / divisor;
}

}  // namespace dip::cpu
