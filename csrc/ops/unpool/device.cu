// Unpooling and upsampling on the GPU. Scattering is written so that a plane belongs to one thread: repeated indices
// add in a fixed order, without atomics.
#include "core/device.h"
#include "ops/unpool/unpool.h"

namespace dip::cuda {
namespace {

__global__ void scatter_kernel(std::int64_t planes, std::int64_t in, std::int64_t out, const float* x,
                               const std::int32_t* indices, float* y) {
  for (std::int64_t plane = first_element(); plane < planes; plane += element_step()) {
    for (std::int64_t i = 0; i < out; ++i) y[plane * out + i] = 0.0f;
    for (std::int64_t i = plane * in; i < (plane + 1) * in; ++i) {
      // An index outside is an error on its way to the host; until then it must write nothing.
      if (indices[i] >= 0 && indices[i] < out) y[plane * out + indices[i]] += x[i];
    }
  }
}

__global__ void gather_kernel(std::int64_t count, std::int64_t in, std::int64_t out, const float* dy,
                              const std::int32_t* indices, float* dx) {
  for (std::int64_t i = first_element(); i < count; i += element_step()) {
    dx[i] = indices[i] >= 0 && indices[i] < out ? dy[i / in * out + indices[i]] : 0.0f;
  }
}

__global__ void nearest_kernel(Upsampling p, std::int64_t count, const float* x, float* y) {
  const std::int64_t width = p.width * p.scale_w, height = p.height * p.scale_h;
  for (std::int64_t i = first_element(); i < count; i += element_step()) {
    const std::int64_t column = i % width, row = i / width % height, plane = i / width / height;
    y[i] = x[(plane * p.height + row / p.scale_h) * p.width + column / p.scale_w];
  }
}

__global__ void nearest_backward_kernel(Upsampling p, std::int64_t count, const float* dy, float* dx) {
  const std::int64_t width = p.width * p.scale_w;
  for (std::int64_t i = first_element(); i < count; i += element_step()) {
    const std::int64_t column = i % p.width, row = i / p.width;  // rows of all planes
    float sum = 0.0f;
    for (std::int64_t r = 0; r < p.scale_h; ++r) {
      for (std::int64_t s = 0; s < p.scale_w; ++s) {
        sum += dy[(row * p.scale_h + r) * width + column * p.scale_w + s];
      }
    }
    dx[i] = sum;
  }
}

__global__ void nails_kernel(Upsampling p, std::int64_t count, const float* x, float* y) {
  const std::int64_t width = p.width * p.scale_w;
  for (std::int64_t i = first_element(); i < count; i += element_step()) {
    const std::int64_t column = i % width, row = i / width;
    const bool nail = column % p.scale_w == p.column && row % p.scale_h == p.row;
    y[i] = nail ? x[row / p.scale_h * p.width + column / p.scale_w] : 0.0f;
  }
}

__global__ void nails_backward_kernel(Upsampling p, std::int64_t count, const float* dy, float* dx) {
  const std::int64_t width = p.width * p.scale_w;
  for (std::int64_t i = first_element(); i < count; i += element_step()) {
    const std::int64_t column = i % p.width, row = i / p.width;
    dx[i] = dy[(row * p.scale_h + p.row) * width + column * p.scale_w + p.column];
  }
}

std::int64_t small_count(const Upsampling& p, std::int64_t planes) {
  return planes * p.height * p.width;
}
std::int64_t large_count(const Upsampling& p, std::int64_t planes) {
  return small_count(p, planes) * p.scale_h * p.scale_w;
}

}  // namespace

void scatter_planes(std::int64_t planes, std::int64_t in, std::int64_t out, const float* x, const std::int32_t* indices,
                    float* y) {
  launch_elements(scatter_kernel, planes, planes, in, out, x, indices, y);
}

void gather_planes(std::int64_t planes, std::int64_t in, std::int64_t out, const float* dy, const std::int32_t* indices,
                   float* dx) {
  launch_elements(gather_kernel, planes * in, planes * in, in, out, dy, indices, dx);
}

void upsample_nearest2d(const Upsampling& p, std::int64_t planes, const float* x, float* y) {
  launch_elements(nearest_kernel, large_count(p, planes), p, large_count(p, planes), x, y);
}

void upsample_nearest2d_backward(const Upsampling& p, std::int64_t planes, const float* dy, float* dx) {
  launch_elements(nearest_backward_kernel, small_count(p, planes), p, small_count(p, planes), dy, dx);
}

void bed_of_nails2d(const Upsampling& p, std::int64_t planes, const float* x, float* y) {
  launch_elements(nails_kernel, large_count(p, planes), p, large_count(p, planes), x, y);
}

void bed_of_nails2d_backward(const Upsampling& p, std::int64_t planes, const float* dy, float* dx) {
  launch_elements(nails_backward_kernel, small_count(p, planes), p, small_count(p, planes), dy, dx);
}

}  // namespace dip::cuda
