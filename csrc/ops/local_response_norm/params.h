// Local response normalisation over (N, C, inner), as plain data.
#pragma once

#include <cstdint>

namespace dip {

// y_c = x_c/s_c^β with s_c = k + α/size·Σ x² over the channels from c − before to c + after.
struct LocalResponseNorm {
  std::int64_t N = 0, C = 0, inner = 0;
  std::int64_t before = 0, after = 0;
  float alpha_of_one = 0.0f;  // α/size
  float beta = 0.75f, k = 1.0f;
};

}  // namespace dip
