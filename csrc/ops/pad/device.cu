// Padding and cropping on the GPU: one result a thread.
#include "cuda/half.h"
#include "ops/pad/pad.h"

namespace dip::cuda {
namespace {

__global__ void pad_kernel(Pad2d p, std::int64_t count, Reals x, RealResults y) {
  stream_elements(
      count,
      [&](std::int64_t i) {
        const std::int64_t w = i % p.new_width - p.left, h = i / p.new_width % p.new_height - p.top;
        const bool inside = h >= 0 && h < p.height && w >= 0 && w < p.width;
        return inside ? read(x, (i / p.new_width / p.new_height * p.height + h) * p.width + w) : p.value;
      },
      [&](std::int64_t i, float value) { write(y, i, value); });
}

}  // namespace

void pad2d(const Pad2d& p, std::int64_t planes, Reals x, RealResults y) {
  const std::int64_t count = planes * p.new_height * p.new_width;
  launch_stream(pad_kernel, count, p, count, x, y);
}

}  // namespace dip::cuda
