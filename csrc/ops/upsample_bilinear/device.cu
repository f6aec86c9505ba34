// Bilinear interpolation on the GPU: one result a thread. Backward, every element gathers from the results around it.
#include "cuda/half.h"
#include "cuda/long_sum.h"
#include "ops/upsample_bilinear/upsample_bilinear.h"

namespace dip::cuda {
namespace {

__device__ std::int64_t neighbour(std::int64_t i, std::int64_t count) {
  return i + 1 < count ? i + 1 : i;
}

__global__ void forward_kernel(Bilinear p, std::int64_t count, Reals x, RealResults y) {
  for (std::int64_t i = first_element(); i < count; i += element_step()) {
    const std::int64_t column = i % p.large_width, row = i / p.large_width % p.large_height;
    const std::int64_t plane = i / p.large_width / p.large_height * p.height;
    const Source down = source_of(row, p.height, p.large_height, p.align_corners);
    const Source right = source_of(column, p.width, p.large_width, p.align_corners);
    const std::int64_t next = neighbour(right.first, p.width);
    const auto between = [&](std::int64_t h) {
      const std::int64_t at = (plane + h) * p.width;
      return read(x, at + right.first) * (1.0f - right.weight) + read(x, at + next) * right.weight;
    };
    const float above = between(down.first), below = between(neighbour(down.first, p.height));
    write(y, i, above * (1.0f - down.weight) + below * down.weight);
  }
}

// How much of result o is element i.
__device__ float share(std::int64_t i, std::int64_t o, std::int64_t small, std::int64_t large, bool align_corners) {
  const Source source = source_of(o, small, large, align_corners);
  float weight = source.first == i ? 1.0f - source.weight : 0.0f;
  if (neighbour(source.first, small) == i) weight += source.weight;
  return weight;
}

__global__ void backward_kernel(Bilinear p, std::int64_t count, Reals dy, RealResults dx) {
  for (std::int64_t i = first_element(); i < count; i += element_step()) {
    const std::int64_t w = i % p.width, h = i / p.width % p.height, plane = i / p.width / p.height;
    const std::int64_t top = first_from(h - 1, p.height, p.large_height, p.align_corners);
    const std::int64_t left = first_from(w - 1, p.width, p.large_width, p.align_corners);
    const std::int64_t bottom =
        h + 1 < p.height ? first_from(h + 1, p.height, p.large_height, p.align_corners) : p.large_height;
    const std::int64_t right =
        w + 1 < p.width ? first_from(w + 1, p.width, p.large_width, p.align_corners) : p.large_width;
    LongSum sum;
    for (std::int64_t row = top; row < bottom; ++row) {
      const float of_row = share(h, row, p.height, p.large_height, p.align_corners);
      for (std::int64_t column = left; column < right; ++column) {
        const float weight = of_row * share(w, column, p.width, p.large_width, p.align_corners);
        sum.add_product(weight, read(dy, (plane * p.large_height + row) * p.large_width + column));
      }
    }
    write(dx, i, sum.total());
  }
}

}  // namespace

void upsample_bilinear2d(const Bilinear& p, std::int64_t planes, Reals x, RealResults y) {
  const std::int64_t count = planes * p.large_height * p.large_width;
  launch_elements(forward_kernel, count, p, count, x, y);
}

void upsample_bilinear2d_backward(const Bilinear& p, std::int64_t planes, Reals dy, RealResults dx) {
  const std::int64_t count = planes * p.height * p.width;
  launch_elements(backward_kernel, count, p, count, dy, dx);
}

}  // namespace dip::cuda
