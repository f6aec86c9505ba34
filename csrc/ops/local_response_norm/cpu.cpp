#include <vector>

#include "cpu/class_axis.h"
#include "ops/local_response_norm/kernels.h"
#include "ops/local_response_norm/local_response_norm.h"

namespace dip::cpu {

void local_response_norm(const LocalResponseNorm& p, Reals x, RealResults y) {
  parallel_positions(p.N, p.C, p.inner, [&](std::int64_t begin, std::int64_t end) {
    local_response_norm_kernels().forward(p, x, y, begin, end);
  });
}

void local_response_norm_backward(const LocalResponseNorm& p, Reals dy, Reals x, RealResults dx) {
  constexpr std::int64_t widest = 16;
  parallel_positions(p.N, p.C, p.inner, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> scratch(p.C * widest);
    local_response_norm_kernels().backward(p, dy, x, dx, scratch.data(), begin, end);
  });
}

}  // namespace dip::cpu
