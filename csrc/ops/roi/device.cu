// Pooling of regions of interest on the GPU: a result a thread. Backward every element of the maps asks each box what
// it took from it, so that sums have an order.
#include "cuda/half.h"
#include "cuda/long_sum.h"
#include "ops/roi/roi.h"

namespace dip::cuda {
namespace {

// A result's box, map and bin, from its number.
struct Place {
  std::int64_t k, c, row, column;

  __device__ Place(const Roi& p, std::int64_t i)
      : k(i / p.bins_w / p.bins_h / p.C),
        c(i / p.bins_w / p.bins_h % p.C),
        row(i / p.bins_w % p.bins_h),
        column(i % p.bins_w) {}
};

struct Box {
  double x1, y1, x2, y2;

  __device__ Box(Reals boxes, std::int64_t k)
      : x1(read(boxes, 4 * k)), y1(read(boxes, 4 * k + 1)), x2(read(boxes, 4 * k + 2)), y2(read(boxes, 4 * k + 3)) {}
};

__global__ void roi_pool_kernel(Roi p, std::int64_t count, Reals x, Reals boxes, const std::int64_t* images,
                                RealResults y, std::int32_t* indices) {
  for (std::int64_t i = first_element(); i < count; i += element_step()) {
    const Place place(p, i);
    const Box box(boxes, place.k);
    const std::int64_t n = images[place.k], map = (n * p.C + place.c) * p.H * p.W;
    const Bin rows = pool_bin(box.y1, box.y2, p.scale, place.row, p.bins_h, p.H);
    const Bin columns = pool_bin(box.x1, box.x2, p.scale, place.column, p.bins_w, p.W);
    std::int64_t best = -1;
    float largest = 0.0f;
    for (std::int64_t h = rows.first; h < rows.last && n >= 0 && n < p.N; ++h) {
      for (std::int64_t w = columns.first; w < columns.last; ++w) {
        const float value = read(x, map + h * p.W + w);
        if (best < 0 || value > largest || (value != value && largest == largest)) {
          best = h * p.W + w;
          largest = value;
        }
      }
    }
    write(y, i, largest);
    indices[i] = static_cast<std::int32_t>(best);
  }
}

// Whether a box may take something from element `at` along an axis; whether it does its bins say. A bin reaches no
// further than two elements beyond the box.
__device__ bool reaches(const Roi& p, double start, double end, std::int64_t at) {
  const double from = on_map(start, p.scale), to = on_map(end, p.scale), place = static_cast<double>(at);
  return place >= (from < to ? from : to) - 2.0 && place <= (from < to ? to : from) + 2.0;
}

__global__ void roi_pool_backward_kernel(Roi p, std::int64_t count, Reals dy, Reals boxes, const std::int64_t* images,
                                         const std::int32_t* indices, RealResults dx) {
  for (std::int64_t i = first_element(); i < count; i += element_step()) {
    const std::int64_t at = i % (p.H * p.W), c = i / (p.H * p.W) % p.C, n = i / (p.H * p.W) / p.C;
    LongSum sum;
    for (std::int64_t k = 0; k < p.K; ++k) {
      if (images[k] != n) continue;
      const Box box(boxes, k);
      if (!reaches(p, box.y1, box.y2, at / p.W) || !reaches(p, box.x1, box.x2, at % p.W)) continue;
      for (std::int64_t row = 0; row < p.bins_h; ++row) {
        const Bin rows = pool_bin(box.y1, box.y2, p.scale, row, p.bins_h, p.H);
        if (at / p.W < rows.first || at / p.W >= rows.last) continue;
        const std::int64_t first = ((k * p.C + c) * p.bins_h + row) * p.bins_w;
        for (std::int64_t bin = first; bin < first + p.bins_w; ++bin) {
          if (indices[bin] == at) sum.add(read(dy, bin));
        }
      }
    }
    write(dx, i, sum.total());
  }
}

__global__ void roi_align_kernel(Roi p, std::int64_t count, Reals x, Reals boxes, const std::int64_t* images,
                                 RealResults y) {
  const float share = 1.0f / static_cast<float>(p.samples * p.samples);
  for (std::int64_t i = first_element(); i < count; i += element_step()) {
    const Place place(p, i);
    const Box box(boxes, place.k);
    const std::int64_t n = images[place.k], map = (n * p.C + place.c) * p.H * p.W;
    LongSum sum;
    for (std::int64_t s = 0; s < p.samples && n >= 0 && n < p.N; ++s) {
      const Sample down = align_sample(p, box.y1, box.y2, place.row, s, p.bins_h, p.H);
      for (std::int64_t t = 0; t < p.samples; ++t) {
        const Sample right = align_sample(p, box.x1, box.x2, place.column, t, p.bins_w, p.W);
        const auto between = [&](std::int64_t h) {
          const std::int64_t at = map + h * p.W;
          return read(x, at + right.low) * right.weight_low + read(x, at + right.high) * right.weight_high;
        };
        const bool counts = down.weight_low + down.weight_high > 0.0f && right.weight_low + right.weight_high > 0.0f;
        if (counts) sum.add(between(down.low) * down.weight_low + between(down.high) * down.weight_high);
      }
    }
    write(y, i, sum.total() * share);
  }
}

// How much of element `at` is in the samples of a bin.
__device__ float weight_in_bin(const Roi& p, double start, double end, std::int64_t bin, std::int64_t bins,
                               std::int64_t extent, std::int64_t at) {
  float weight = 0.0f;
  for (std::int64_t s = 0; s < p.samples; ++s) {
    const Sample sample = align_sample(p, start, end, bin, s, bins, extent);
    if (sample.low == at) weight += sample.weight_low;
    if (sample.high == at) weight += sample.weight_high;
  }
  return weight / static_cast<float>(p.samples);
}

__global__ void roi_align_backward_kernel(Roi p, std::int64_t count, Reals dy, Reals boxes, const std::int64_t* images,
                                          RealResults dx) {
  const std::int64_t groups = (p.C + channels_a_thread - 1) / channels_a_thread;
  for (std::int64_t i = first_element(); i < count; i += element_step()) {
    const std::int64_t w = i % p.W, h = i / p.W % p.H, first = i / p.W / p.H % groups * channels_a_thread;
    const std::int64_t n = i / p.W / p.H / groups;
    LongSum sums[channels_a_thread];
    for (std::int64_t k = 0; k < p.K; ++k) {
      if (images[k] != n) continue;
      const Box box(boxes, k);
      if (!reaches(p, box.y1, box.y2, h) || !reaches(p, box.x1, box.x2, w)) continue;
      for (std::int64_t row = 0; row < p.bins_h; ++row) {
        const float down = weight_in_bin(p, box.y1, box.y2, row, p.bins_h, p.H, h);
        if (down == 0.0f) continue;
        for (std::int64_t column = 0; column < p.bins_w; ++column) {
          const float right = weight_in_bin(p, box.x1, box.x2, column, p.bins_w, p.W, w);
          if (right == 0.0f) continue;
#pragma unroll
          for (int c = 0; c < channels_a_thread; ++c) {
            if (first + c >= p.C) break;
            const std::int64_t bin = ((k * p.C + first + c) * p.bins_h + row) * p.bins_w + column;
            sums[c].add_product(down * right, read(dy, bin));
          }
        }
      }
    }
#pragma unroll
    for (int c = 0; c < channels_a_thread; ++c) {
      if (first + c < p.C) write(dx, ((n * p.C + first + c) * p.H + h) * p.W + w, sums[c].total());
    }
  }
}

std::int64_t results(const Roi& p) {
  return p.K * p.C * p.bins_h * p.bins_w;
}
std::int64_t elements(const Roi& p) {
  return p.N * p.C * p.H * p.W;
}

}  // namespace

void roi_pool(const Roi& p, Reals x, Reals boxes, const std::int64_t* images, RealResults y, std::int32_t* indices) {
  launch_elements(roi_pool_kernel, results(p), p, results(p), x, boxes, images, y, indices);
}

void roi_pool_backward(const Roi& p, Reals dy, Reals boxes, const std::int64_t* images, const std::int32_t* indices,
                       RealResults dx) {
  launch_elements(roi_pool_backward_kernel, elements(p), p, elements(p), dy, boxes, images, indices, dx);
}

void roi_align(const Roi& p, Reals x, Reals boxes, const std::int64_t* images, RealResults y) {
  launch_elements(roi_align_kernel, results(p), p, results(p), x, boxes, images, y);
}

void roi_align_backward(const Roi& p, Reals dy, Reals boxes, const std::int64_t* images, RealResults dx) {
  const std::int64_t count = p.N * ((p.C + channels_a_thread - 1) / channels_a_thread) * p.H * p.W;
  launch_elements(roi_align_backward_kernel, count, p, count, dy, boxes, images, dx);
}

}  // namespace dip::cuda
