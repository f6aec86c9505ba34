// Unpooling and upsampling on the CPU. All of it moves memory and computes next to nothing; a plane belongs to one
// thread, so sums have a fixed order.
#include <algorithm>
#include <cstring>

#include "core/parallel.h"
#include "ops/unpool/unpool.h"

namespace dip::cpu {
using std::int64_t;

void scatter_planes(int64_t planes, int64_t in, int64_t out, const float* x, const std::int32_t* indices, float* y) {
  parallel_planes(planes, out, [&](int64_t plane) {
    float* to = y + plane * out;
    std::memset(to, 0, out * sizeof(float));
    for (int64_t i = plane * in; i < (plane + 1) * in; ++i) to[indices[i]] += x[i];
  });
}

void gather_planes(int64_t planes, int64_t in, int64_t out, const float* dy, const std::int32_t* indices, float* dx) {
  parallel_planes(planes, out, [&](int64_t plane) {
    const float* from = dy + plane * out;
    for (int64_t i = plane * in; i < (plane + 1) * in; ++i) dx[i] = from[indices[i]];
  });
}

void upsample_nearest2d(const Upsampling& p, int64_t planes, const float* x, float* y) {
  const int64_t in = p.height * p.width, width = p.width * p.scale_w, out = p.height * p.scale_h * width;
  parallel_planes(planes, out, [&](int64_t plane) {
    for (int64_t h = 0; h < p.height; ++h) {
      const float* from = x + plane * in + h * p.width;
      float* to = y + plane * out + h * p.scale_h * width;
      for (int64_t w = 0; w < p.width; ++w) std::fill_n(to + w * p.scale_w, p.scale_w, from[w]);
      for (int64_t r = 1; r < p.scale_h; ++r) std::memcpy(to + r * width, to, width * sizeof(float));
    }
  });
}

void upsample_nearest2d_backward(const Upsampling& p, int64_t planes, const float* dy, float* dx) {
  const int64_t in = p.height * p.width, width = p.width * p.scale_w, out = p.height * p.scale_h * width;
  parallel_planes(planes, out, [&](int64_t plane) {
    for (int64_t h = 0; h < p.height; ++h) {
      float* to = dx + plane * in + h * p.width;
      std::fill_n(to, p.width, 0.0f);
      for (int64_t r = 0; r < p.scale_h; ++r) {
        const float* from = dy + plane * out + (h * p.scale_h + r) * width;
        for (int64_t w = 0; w < p.width; ++w) {
          for (int64_t s = 0; s < p.scale_w; ++s) to[w] += from[w * p.scale_w + s];
        }
      }
    }
  });
}

void bed_of_nails2d(const Upsampling& p, int64_t planes, const float* x, float* y) {
  const int64_t in = p.height * p.width, width = p.width * p.scale_w, out = p.height * p.scale_h * width;
  parallel_planes(planes, out, [&](int64_t plane) {
    std::memset(y + plane * out, 0, out * sizeof(float));
    for (int64_t h = 0; h < p.height; ++h) {
      const float* from = x + plane * in + h * p.width;
      float* to = y + plane * out + (h * p.scale_h + p.row) * width + p.column;
      for (int64_t w = 0; w < p.width; ++w) to[w * p.scale_w] = from[w];
    }
  });
}

void bed_of_nails2d_backward(const Upsampling& p, int64_t planes, const float* dy, float* dx) {
  const int64_t in = p.height * p.width, width = p.width * p.scale_w, out = p.height * p.scale_h * width;
  parallel_planes(planes, out, [&](int64_t plane) {
    for (int64_t h = 0; h < p.height; ++h) {
      const float* from = dy + plane * out + (h * p.scale_h + p.row) * width + p.column;
      float* to = dx + plane * in + h * p.width;
      for (int64_t w = 0; w < p.width; ++w) to[w] = from[w * p.scale_w];
    }
  });
}

}  // namespace dip::cpu
