// Concatenation on the GPU.
#include "cuda/half.h"
#include "ops/concatenate/concatenate.h"

namespace dip::cuda {
namespace {

__global__ void copy_kernel(RowCopy p, Reals from, RealResults to) {
  stream_elements(
      p.rows * p.length,
      [&](std::int64_t i) { return read(from, p.from_start + i / p.length * p.from_step + i % p.length); },
      [&](std::int64_t i, float value) { write(to, p.to_start + i / p.length * p.to_step + i % p.length, value); });
}

}  // namespace

void copy_rows(const RowCopy& p, Reals from, RealResults to) {
  launch_stream(copy_kernel, p.rows * p.length, p, from, to);
}

}  // namespace dip::cuda
