// Unpooling and upsampling on the GPU: one result a thread, but for the scattering, where a block fills part of a
// plane.
#include "core/check.h"
#include "core/device_long_sum.h"
#include "core/device_window.h"
#include "core/half.h"
#include "ops/unpool/unpool.h"

namespace dip::cuda {
namespace {

constexpr int scatter_chunk = 4096;  // elements of a plane that one block collects in shared memory

// y[indices[i]] += x[i] in the order of i, for a chunk of one plane. Indices may repeat, and sums must not depend on
// the order of the threads: in each round the first of the inputs that are left adds to its element. Where nothing
// repeats, as in pooling without overlap, one round is all. What is left after `most_rounds` of them is a long sum,
// which the whole block takes in float64, an element after the other.
constexpr int most_rounds = 64;

__global__ void scatter_kernel(std::int64_t chunks, int in, std::int64_t out, Reals x, const std::int32_t* indices,
                               RealResults y) {
  const Shared<float> sums = dynamic_shared<float>();
  const Shared<int> done = shared_cast<int>(sums + scatter_chunk);  // the last input added to each element
  const Shared<int> next = done + scatter_chunk;                    // the first of those that are left
  DIP_SHARED_ARRAY(double, partial, threads_per_block);
  const std::int64_t plane = blockIdx.x / chunks, begin = blockIdx.x % chunks * scatter_chunk;
  const int size = static_cast<int>(out - begin < scatter_chunk ? out - begin : scatter_chunk);
  const int first = static_cast<int>(threadIdx.x);
  indices += plane * in;
  for (int e = first; e < size; e += threads_per_block) {
    sums[e] = 0.0f;
    done[e] = -1;
    next[e] = in;
  }
  bool left = true;
  for (int round = 0; left; ++round) {
    __syncthreads();
    for (int i = first; i < in; i += threads_per_block) {
      const std::int64_t e = indices[i] - begin;  // an index outside the plane is in no chunk
      if (e >= 0 && e < size && i > done[e]) atomic_min(next + e, i);
    }
    __syncthreads();
    if (round == most_rounds) break;
    bool any = false;
    for (int i = first; i < in; i += threads_per_block) {
      const std::int64_t e = indices[i] - begin;
      if (e < 0 || e >= size || i < next[e]) continue;
      if (i > next[e]) {
        any = true;
      } else {
        sums[e] += read(x, plane * in + i);
      }
    }
    left = __syncthreads_or(any);
    for (int e = first; e < size; e += threads_per_block) {
      done[e] = next[e];
      next[e] = in;
    }
  }
  for (int e = 0; left && e < size; ++e) {
    if (next[e] == in) continue;
    double own = 0.0;
    for (int i = first; i < in; i += threads_per_block) {
      if (indices[i] - begin == e) own += read(x, plane * in + i);
    }
    partial[first] = own;
    for (int half = threads_per_block / 2; half > 0; half /= 2) {
      __syncthreads();
      if (first < half) partial[first] += partial[first + half];
    }
    if (first == 0) sums[e] = static_cast<float>(static_cast<double>(partial[0]));
    __syncthreads();
  }
  for (int e = first; e < size; e += threads_per_block) write(y, plane * out + begin + e, sums[e]);
}

__global__ void gather_kernel(std::int64_t count, std::int64_t in, std::int64_t out, Reals dy,
                              const std::int32_t* indices, RealResults dx) {
  for (std::int64_t i = first_element(); i < count; i += element_step()) {
    write(dx, i, indices[i] >= 0 && indices[i] < out ? read(dy, i / in * out + indices[i]) : 0.0f);
  }
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

bool scatter_planes(std::int64_t planes, std::int64_t in, std::int64_t out, Reals x, const std::int32_t* indices,
                    RealResults y) {
  const std::int64_t chunks = (out + scatter_chunk - 1) / scatter_chunk;
  check(planes * chunks <= INT32_MAX && in <= INT32_MAX, "max_unpool2d: the GPU takes up to 2147483647 planes and ",
        "elements of a plane, got ", planes, " planes of ", in, " elements");
  launch(scatter_kernel, Grid{static_cast<unsigned>(planes * chunks)}, threads_per_block,
         scatter_chunk * (sizeof(float) + 2 * sizeof(int)), chunks, static_cast<int>(in), out, x, indices, y);
  return false;
}

bool gather_planes(std::int64_t planes, std::int64_t in, std::int64_t out, Reals dy, const std::int32_t* indices,
                   RealResults dx) {
  launch_elements(gather_kernel, planes * in, planes * in, in, out, dy, indices, dx);
  return false;
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
