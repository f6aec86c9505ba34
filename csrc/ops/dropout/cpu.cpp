#include "ops/dropout/dropout.h"

#include "cpu/parallel.h"
#include "ops/dropout/kernels.h"

namespace dip::cpu {

void dropout(const Dropout& p, std::int64_t count, Reals x, RealResults y) {
  parallel_ranges(count, element_grain(count), [&](std::int64_t begin, std::int64_t end) {
    dropout_kernels().blocks(p, begin / 4, end - begin, x + begin, y + begin);
  });
}

}  // namespace dip::cpu
