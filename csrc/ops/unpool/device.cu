// Upsampling on the GPU, and the gradients: one result a thread.
#include "cuda/half.h"
#include "cuda/long_sum.h"
#include "cuda/value_check.h"
#include "cuda/window.h"
#include "ops/unpool/unpool.h"

namespace dip::cuda {
namespace {

__global__ void gather_planes_kernel(std::int64_t count, std::int64_t in, std::int64_t out, Reals dy,
                                     const std::int32_t* indices, RealResults dx, Fault* fault) {
  std::int64_t wrong = -1;
  for (std::int64_t i = first_element(); i < count; i += element_step()) {
    const std::int64_t index = indices[i];
    const bool inside = index >= 0 && index < out;
    if (!inside && wrong < 0) wrong = i;
    write(dx, i, inside ? read(dy, i / in * out + index) : 0.0f);
  }
  report_first(wrong, [&](std::int64_t i) { return static_cast<double>(indices[i]); }, fault);
}

__global__ void nearest_kernel(Nearest p, std::int64_t count, Reals x, RealResults y) {
  const auto at = [&](std::int64_t i) {
    const std::int64_t column = i % p.large_width, row = i / p.large_width % p.large_height;
    const std::int64_t plane = i / p.large_width / p.large_height;
    return read(x, (plane * p.height + row * p.height / p.large_height) * p.width + column * p.width / p.large_width);
  };
  stream_elements(count, at, [=](std::int64_t i, float value) { write(y, i, value); });
}

// The first of the large elements that are the small one's at `i`.
__device__ std::int64_t first_copy(std::int64_t i, std::int64_t small, std::int64_t large) {
  return (i * large + small - 1) / small;
}

__global__ void nearest_backward_kernel(Nearest p, std::int64_t count, Reals dy, RealResults dx) {
  for (std::int64_t i = first_element(); i < count; i += element_step()) {
    const std::int64_t w = i % p.width, h = i / p.width % p.height, plane = i / p.width / p.height;
    const std::int64_t bottom = first_copy(h + 1, p.height, p.large_height);
    const std::int64_t right = first_copy(w + 1, p.width, p.large_width);
    LongSum sum;
    for (std::int64_t row = first_copy(h, p.height, p.large_height); row < bottom; ++row) {
      for (std::int64_t column = first_copy(w, p.width, p.large_width); column < right; ++column) {
        sum.add(read(dy, (plane * p.large_height + row) * p.large_width + column));
      }
    }
    write(dx, i, sum.total());
  }
}

__global__ void nails_kernel(Nails p, std::int64_t count, Reals x, RealResults y) {
  const std::int64_t width = p.width * p.scale_w;
  const auto at = [&](std::int64_t i) {
    const std::int64_t column = i % width, row = i / width;
    const bool nail = column % p.scale_w == p.column && row % p.scale_h == p.row;
    return nail ? read(x, row / p.scale_h * p.width + column / p.scale_w) : 0.0f;
  };
  stream_elements(count, at, [=](std::int64_t i, float value) { write(y, i, value); });
}

__global__ void nails_backward_kernel(Nails p, std::int64_t count, Reals dy, RealResults dx) {
  const std::int64_t width = p.width * p.scale_w;
  const auto at = [&](std::int64_t i) {
    const std::int64_t column = i % p.width, row = i / p.width;
    return read(dy, (row * p.scale_h + p.row) * width + column * p.scale_w + p.column);
  };
  stream_elements(count, at, [=](std::int64_t i, float value) { write(dx, i, value); });
}

std::int64_t small_count(const Nails& p, std::int64_t planes) {
  return planes * p.height * p.width;
}
std::int64_t large_count(const Nails& p, std::int64_t planes) {
  return small_count(p, planes) * p.scale_h * p.scale_w;
}

}  // namespace

void gather_planes(std::int64_t planes, std::int64_t in, std::int64_t out, Reals dy, const std::int32_t* indices,
                   RealResults dx, const Describe& describe) {
  if (planes * in == 0) return;
  launch_elements(gather_planes_kernel, planes * in, planes * in, in, out, dy, indices, dx,
                  watch_for<IndexError>(describe));
}

void upsample_nearest2d(const Nearest& p, std::int64_t planes, Reals x, RealResults y) {
  const std::int64_t count = planes * p.large_height * p.large_width;
  launch_stream(nearest_kernel, count, p, count, x, y);
}

void upsample_nearest2d_backward(const Nearest& p, std::int64_t planes, Reals dy, RealResults dx) {
  const std::int64_t count = planes * p.height * p.width;
  launch_elements(nearest_backward_kernel, count, p, count, dy, dx);
}

void bed_of_nails2d(const Nails& p, std::int64_t planes, Reals x, RealResults y) {
  launch_stream(nails_kernel, large_count(p, planes), p, large_count(p, planes), x, y);
}

void bed_of_nails2d_backward(const Nails& p, std::int64_t planes, Reals dy, RealResults dx) {
  launch_stream(nails_backward_kernel, small_count(p, planes), p, small_count(p, planes), dy, dx);
}

}  // namespace dip::cuda
