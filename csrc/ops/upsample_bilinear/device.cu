// Bilinear interpolation on the GPU. Backward, every element gathers from the results around it.
#include "cuda/divisor.h"
#include "cuda/half.h"
#include "cuda/long_sum.h"
#include "ops/upsample_bilinear/upsample_bilinear.h"

namespace dip::cuda {
namespace {

__device__ std::int64_t neighbour(std::int64_t i, std::int64_t count) {
  return i + 1 < count ? i + 1 : i;
}

// A thread has one place of several planes: what they take is the same.
constexpr int planes_a_thread = 8;

// Of `planes` with so many rows and columns of results.
struct Places {
  std::int64_t planes, count;
  IndexDivisor by_columns, by_rows;

  Places(std::int64_t planes_, std::int64_t rows, std::int64_t columns)
      : planes(planes_),
        count((planes_ + planes_a_thread - 1) / planes_a_thread * rows * columns),
        by_columns(columns, count),
        by_rows(rows, count) {}
};

__global__ void bilinear_kernel(Bilinear p, Places places, Reals x, RealResults y) {
  for (std::int64_t i = first_element(); i < places.count; i += element_step()) {
    std::int64_t group = i;
    const std::int64_t column = places.by_columns.take_remainder(group), row = places.by_rows.take_remainder(group);
    const Source down = source_of(row, p.height, p.large_height, p.align_corners);
    const Source right = source_of(column, p.width, p.large_width, p.align_corners);
    const std::int64_t next = neighbour(right.first, p.width), below = neighbour(down.first, p.height);
#pragma unroll
    for (int k = 0; k < planes_a_thread; ++k) {
      const std::int64_t plane = group * planes_a_thread + k;
      if (plane >= places.planes) break;
      const auto between = [&](std::int64_t h) {
        const std::int64_t at = (plane * p.height + h) * p.width;
        return read(x, at + right.first) * (1.0f - right.weight) + read(x, at + next) * right.weight;
      };
      write(y, (plane * p.large_height + row) * p.large_width + column,
            between(down.first) * (1.0f - down.weight) + between(below) * down.weight);
    }
  }
}

// How much of result o is element i.
__device__ float share(std::int64_t i, std::int64_t o, std::int64_t small, std::int64_t large, bool align_corners) {
  const Source source = source_of(o, small, large, align_corners);
  float weight = source.first == i ? 1.0f - source.weight : 0.0f;
  if (neighbour(source.first, small) == i) weight += source.weight;
  return weight;
}

__global__ void bilinear_backward_kernel(Bilinear p, Places places, Reals dy, RealResults dx) {
  for (std::int64_t i = first_element(); i < places.count; i += element_step()) {
    std::int64_t group = i;
    const std::int64_t w = places.by_columns.take_remainder(group), h = places.by_rows.take_remainder(group);
    const std::int64_t top = first_from(h - 1, p.height, p.large_height, p.align_corners);
    const std::int64_t left = first_from(w - 1, p.width, p.large_width, p.align_corners);
    const std::int64_t bottom =
        h + 1 < p.height ? first_from(h + 1, p.height, p.large_height, p.align_corners) : p.large_height;
    const std::int64_t right =
        w + 1 < p.width ? first_from(w + 1, p.width, p.large_width, p.align_corners) : p.large_width;
    LongSum sums[planes_a_thread];
    for (std::int64_t row = top; row < bottom; ++row) {
      const float of_row = share(h, row, p.height, p.large_height, p.align_corners);
      for (std::int64_t column = left; column < right; ++column) {
        const float weight = of_row * share(w, column, p.width, p.large_width, p.align_corners);
#pragma unroll
        for (int k = 0; k < planes_a_thread; ++k) {
          const std::int64_t plane = group * planes_a_thread + k;
          if (plane >= places.planes) break;
          sums[k].add_product(weight, read(dy, (plane * p.large_height + row) * p.large_width + column));
        }
      }
    }
#pragma unroll
    for (int k = 0; k < planes_a_thread; ++k) {
      const std::int64_t plane = group * planes_a_thread + k;
      if (plane < places.planes) write(dx, (plane * p.height + h) * p.width + w, sums[k].total());
    }
  }
}

}  // namespace

void upsample_bilinear2d(const Bilinear& p, std::int64_t planes, Reals x, RealResults y) {
  const Places places(planes, p.large_height, p.large_width);
  launch_elements(bilinear_kernel, places.count, p, places, x, y);
}

void upsample_bilinear2d_backward(const Bilinear& p, std::int64_t planes, Reals dy, RealResults dx) {
  const Places places(planes, p.height, p.width);
  launch_elements(bilinear_backward_kernel, places.count, p, places, dy, dx);
}

}  // namespace dip::cuda
