// Unpooling and upsampling on the CPU. All of it moves memory and computes next to nothing; a plane belongs to one
// thread, so sums have a fixed order.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <vector>

#include "cpu/parallel.h"
#include "ops/unpool/unpool.h"

namespace dip::cpu {
using std::int64_t;

namespace {

// Indices of a plane, each read once: the caller's other threads may change one between its check and its use. One
// outside the plane is taken for the first, and remembered.
class Indices {
 public:
  Indices(const std::int32_t* indices, int64_t limit) : indices_(indices), limit_(static_cast<std::uint32_t>(limit)) {}

  std::uint32_t operator[](int64_t i) {
    const std::uint32_t index = static_cast<std::uint32_t>(indices_[i]);
    const bool inside = index < limit_;
    outside_ |= !inside;
    return inside ? index : 0;
  }
  bool all_inside() const { return !outside_; }

 private:
  const std::int32_t* indices_;
  std::uint32_t limit_;
  bool outside_ = false;
};

// Of so many terms a sum in float32 is as good as any.
constexpr int64_t most_plain = 64;

bool more_than_plain(int64_t in, int64_t out, Indices indices) {
  std::vector<std::uint8_t> hits(out);
  for (int64_t i = 0; i < in; ++i) {
    std::uint8_t& at = hits[indices[i]];
    if (++at > most_plain) return true;
  }
  return false;
}

bool scatter_plane(int64_t in, int64_t out, const float* x, const std::int32_t* given, float* y) {
  Indices indices(given, out);
  std::memset(y, 0, out * sizeof(float));
  int64_t rounded = 0;  // additions to what is not zero, and so not exact
  for (int64_t i = 0; i < in; ++i) {
    const std::uint32_t at = indices[i];
    std::uint32_t bits;
    std::memcpy(&bits, y + at, sizeof bits);  // faster to compare than the number
    rounded += bits != 0;
    y[at] += x[i];
  }
  // Pooling repeats an index in as many windows as overlap; others may repeat it without end.
  if (rounded > most_plain && more_than_plain(in, out, indices)) {
    std::vector<double> sums(out);
    for (int64_t i = 0; i < in; ++i) sums[indices[i]] += x[i];
    for (int64_t e = 0; e < out; ++e) y[e] = static_cast<float>(sums[e]);
  }
  return indices.all_inside();
}

}  // namespace

void scatter_planes(int64_t planes, Pair small, Pair large, const float* x, const std::int32_t* indices, float* y,
                    const Describe& describe) {
  const int64_t in = small[0] * small[1], out = large[0] * large[1];
  std::atomic<bool> inside = true;
  parallel_planes(planes, out, [&](int64_t plane) {
    if (!scatter_plane(in, out, x + plane * in, indices + plane * in, y + plane * out)) inside.store(false);
  });
  if (!inside) check_indices(indices, planes * in, 0, out, describe);
}

void gather_planes(int64_t planes, int64_t in, int64_t out, const float* dy, const std::int32_t* indices, float* dx,
                   const Describe& describe) {
  std::atomic<bool> inside = true;
  parallel_planes(planes, out, [&](int64_t plane) {
    Indices of_plane(indices + plane * in, out);
    for (int64_t i = 0; i < in; ++i) dx[plane * in + i] = dy[plane * out + of_plane[i]];
    if (!of_plane.all_inside()) inside.store(false);
  });
  if (!inside) check_indices(indices, planes * in, 0, out, describe);
}

namespace {

// The first of the large elements that are the small one's at `i`.
int64_t first_copy(int64_t i, int64_t small, int64_t large) {
  return divide_up(i * large, small);
}

}  // namespace

void upsample_nearest2d(const Nearest& p, int64_t planes, const float* x, float* y) {
  const int64_t in = p.height * p.width, out = p.large_height * p.large_width, width = p.large_width;
  parallel_planes(planes, out, [&](int64_t plane) {
    for (int64_t h = 0; h < p.height; ++h) {
      const float* from = x + plane * in + h * p.width;
      const int64_t first = first_copy(h, p.height, p.large_height), end = first_copy(h + 1, p.height, p.large_height);
      if (first == end) continue;
      float* to = y + plane * out + first * width;
      for (int64_t w = 0, at = 0; w < p.width; ++w) {
        const int64_t next = first_copy(w + 1, p.width, width);
        std::fill(to + at, to + next, from[w]);
        at = next;
      }
      for (int64_t r = 1; r < end - first; ++r) std::memcpy(to + r * width, to, width * sizeof(float));
    }
  });
}

void upsample_nearest2d_backward(const Nearest& p, int64_t planes, const float* dy, float* dx) {
  const int64_t in = p.height * p.width, out = p.large_height * p.large_width, width = p.large_width;
  parallel_planes(planes, out, [&](int64_t plane) {
    for (int64_t i = 0; i < in; ++i) {
      const int64_t h = i / p.width, w = i % p.width;
      const int64_t bottom = first_copy(h + 1, p.height, p.large_height), right = first_copy(w + 1, p.width, width);
      double sum = 0.0;
      for (int64_t row = first_copy(h, p.height, p.large_height); row < bottom; ++row) {
        const float* from = dy + plane * out + row * width;
        for (int64_t column = first_copy(w, p.width, width); column < right; ++column) sum += from[column];
      }
      dx[plane * in + i] = static_cast<float>(sum);
    }
  });
}

void bed_of_nails2d(const Nails& p, int64_t planes, const float* x, float* y) {
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

void bed_of_nails2d_backward(const Nails& p, int64_t planes, const float* dy, float* dx) {
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
