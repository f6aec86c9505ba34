#include <cstring>

#include "cpu/parallel.h"
#include "ops/concatenate/concatenate.h"

namespace dip::cpu {

void copy_rows(const RowCopy& p, Reals from, RealResults to) {
  parallel_planes(p.rows, p.length, [&](std::int64_t row) {
    std::memcpy(to + p.to_start + row * p.to_step, from + p.from_start + row * p.from_step, p.length * sizeof(float));
  });
}

}  // namespace dip::cpu
