#include "cpu/class_axis.h"
#include "ops/softmax/kernels.h"
#include "ops/softmax/softmax.h"

namespace dip::cpu {

void softmax_forward(const Softmax& p, Reals x, RealResults y) {
  parallel_positions(p.outer, p.classes, p.inner,
                     [&](std::int64_t begin, std::int64_t end) { softmax_kernels().forward(p, x, y, begin, end); });
}

void softmax_backward(const Softmax& p, Reals dy, Reals y, RealResults dx) {
  parallel_positions(p.outer, p.classes, p.inner, [&](std::int64_t begin, std::int64_t end) {
    softmax_kernels().backward(p, dy, y, dx, begin, end);
  });
}

}  // namespace dip::cpu
