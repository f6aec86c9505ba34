// Unpooling and upsampling on the CPU. All of it moves memory and computes next to nothing; a plane belongs to one
// thread, so sums have a fixed order.
#include <algorithm>
#include <atomic>
#include <cstring>

#include "core/parallel.h"
#include "ops/unpool/unpool.h"

namespace dip::cpu {
using std::int64_t;

namespace {

// Without a branch, so that it vectorises; what it reads is in the cache for whoever follows the indices.
bool all_below(const std::int32_t* indices, int64_t count, int64_t limit) {
  std::uint32_t outside = 0;
  for (int64_t i = 0; i < count; ++i) outside |= static_cast<std::uint32_t>(indices[i]) >= limit;
  return outside == 0;
}

}  // namespace

bool scatter_planes(int64_t planes, int64_t in, int64_t out, const float* x, const std::int32_t* indices, float* y) {
  std::atomic<bool> inside = true;
  parallel_planes(planes, out, [&](int64_t plane) {
    if (!all_below(indices + plane * in, in, out)) return inside.store(false);
    float* to = y + plane * out;
    std::memset(to, 0, out * sizeof(float));
    for (int64_t i = plane * in; i < (plane + 1) * in; ++i) to[indices[i]] += x[i];
  });
  return inside;
}

bool gather_planes(int64_t planes, int64_t in, int64_t out, const float* dy, const std::int32_t* indices, float* dx) {
  std::atomic<bool> inside = true;
  parallel_planes(planes, out, [&](int64_t plane) {
    if (!all_below(indices + plane * in, in, out)) return inside.store(false);
    const float* from = dy + plane * out;
    for (int64_t i = plane * in; i < (plane + 1) * in; ++i) dx[i] = from[indices[i]];
  });
  return inside;
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
