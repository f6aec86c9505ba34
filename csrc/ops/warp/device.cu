// Warping on the GPU. Backward, results are first linked into lists by the cell between elements
// that they were read in; then each element adds those of the cells around it, in the order of the results.
#include <climits>
#include <type_traits>

#include "core/check.h"
#include "cuda/divisor.h"
#include "cuda/half.h"
#include "cuda/long_sum.h"
#include "cuda/sum.h"
#include "ops/warp/warp.h"

namespace dip::cuda {
namespace {

struct SampledPlace {
  Taps rows, columns;
};

__device__ SampledPlace place_at(const Warp& p, Reals flow, std::int64_t n, std::int64_t at) {
  const std::int64_t first = n * 2 * p.places();
  return {taps_at(p.interpolation, at / p.out_w, read(flow, first + p.places() + at)),
          taps_at(p.interpolation, at % p.out_w, read(flow, first + at))};
}

// `taps` along each axis, so that their weights stay in registers.
template <int taps, class Body>
__device__ void each_tap(const Warp& p, const SampledPlace& place, const Body& body) {
#pragma unroll
  for (int i = 0; i < taps; ++i) {
    const std::int64_t row = place.rows.first + i;
#pragma unroll
    for (int j = 0; j < taps; ++j) {
      const std::int64_t column = place.columns.first + j;
      if (row >= 0 && row < p.H && column >= 0 && column < p.W) body(row * p.W + column, i, j);
    }
  }
}

// All places of groups of channels of images, or all elements.
struct Work {
  std::int64_t count;
  IndexDivisor by_places, by_groups;

  Work(const Warp& p, std::int64_t places) : Work((p.C + channels_a_thread - 1) / channels_a_thread, p.N, places) {}
  Work(std::int64_t groups, std::int64_t images, std::int64_t places)
      : count(images * groups * places), by_places(places, count), by_groups(groups, count) {}
};

// Calls body(k, plane) for the k-th channel of a thread.
template <class Body>
__device__ void each_channel(const Warp& p, std::int64_t n, std::int64_t group, const Body& body) {
#pragma unroll
  for (int k = 0; k < channels_a_thread; ++k) {
    const std::int64_t c = group * channels_a_thread + k;
    if (c < p.C) body(k, n * p.C + c);
  }
}

template <int taps>
__global__ void warp_kernel(Warp p, Work work, Reals x, Reals flow, RealResults y) {
  for (std::int64_t i = first_element(); i < work.count; i += element_step()) {
    std::int64_t n = i;
    const std::int64_t at = work.by_places.take_remainder(n), group = work.by_groups.take_remainder(n);
    const SampledPlace place = place_at(p, flow, n, at);
    float sums[channels_a_thread] = {};
    each_tap<taps>(p, place, [&](std::int64_t element, int r, int c) {
      const float weight = place.rows.weight[r] * place.columns.weight[c];
      each_channel(p, n, group,
                   [&](int k, std::int64_t plane) { sums[k] += weight * read(x, plane * p.H * p.W + element); });
    });
    each_channel(p, n, group, [&](int k, std::int64_t plane) { write(y, plane * p.places() + at, sums[k]); });
  }
}

template <int taps>
__global__ void flow_kernel(Warp p, std::int64_t count, Reals dy, Reals x, Reals flow, RealResults dflow) {
  for (std::int64_t i = first_element(); i < count; i += element_step()) {
    const std::int64_t n = i / p.places(), at = i % p.places();
    const SampledPlace place = place_at(p, flow, n, at);
    LongSum right, down;
    for (std::int64_t plane = n * p.C; plane < (n + 1) * p.C; ++plane) {
      float of_right = 0.0f, of_down = 0.0f;
      each_tap<taps>(p, place, [&](std::int64_t element, int r, int c) {
        const float value = read(x, plane * p.H * p.W + element);
        of_right += place.rows.weight[r] * place.columns.slope[c] * value;
        of_down += place.rows.slope[r] * place.columns.weight[c] * value;
      });
      const float d = read(dy, plane * p.places() + at);
      right.add_product(of_right, d);
      down.add_product(of_down, d);
    }
    write(dflow, n * 2 * p.places() + at, right.total());
    write(dflow, (n * 2 + 1) * p.places() + at, down.total());
  }
}

// Cells are named by the first element that their results take, which may be up to three before the image.
struct TouchedCells {
  std::int64_t rows, columns;
  static constexpr std::int64_t before = Taps::most - 1;

  __host__ __device__ explicit TouchedCells(const Warp& p) : rows(p.H + before), columns(p.W + before) {}
  __host__ __device__ std::int64_t count() const { return rows * columns; }
  // −1 for one whose results take nothing of the image.
  __device__ std::int64_t number(std::int64_t row, std::int64_t column) const {
    const std::int64_t r = row + before, c = column + before;
    return r >= 0 && r < rows && c >= 0 && c < columns ? r * columns + c : -1;
  }
};

// heads[cell] is 1 + the last result that came, next[i] 1 + the one before it, 0 the end.
__global__ void link_cells_kernel(Warp p, std::int64_t count, Reals flow, int* heads, int* next) {
  const TouchedCells cells(p);
  for (std::int64_t i = first_element(); i < count; i += element_step()) {
    const std::int64_t n = i / p.places(), at = i % p.places();
    const SampledPlace place = place_at(p, flow, n, at);
    const std::int64_t cell = cells.number(place.rows.first, place.columns.first);
    if (cell >= 0) next[i] = atomic_exchange(heads + n * cells.count() + cell, static_cast<int>(at + 1));
  }
}

// Beyond so many results a list is not sorted: all results are looked through instead.
constexpr int longest = 64;

// body(result) for those of a list, in their order.
template <class Body>
__device__ void each_in_order(int head, const int* next, const Body& body) {
  for (int last = 0;;) {
    int first = INT_MAX;
    for (int at = head; at > 0; at = next[at - 1]) {
      if (at > last && at < first) first = at;
    }
    if (first == INT_MAX) return;
    body(first - 1);
    last = first;
  }
}

// Chosen so, and not by an index: for that weights would have to lie in memory.
template <int taps>
__device__ float weight_of(const Taps& axis, int tap) {
  float weight = axis.weight[0];
#pragma unroll
  for (int k = 1; k < taps; ++k) weight = tap == k ? axis.weight[k] : weight;
  return weight;
}

template <int taps>
__global__ void data_kernel(Warp p, Work work, Reals dy, Reals flow, const int* heads, const int* next,
                            RealResults dx) {
  const TouchedCells cells(p);
  for (std::int64_t i = first_element(); i < work.count; i += element_step()) {
    std::int64_t n = i;
    const std::int64_t element = work.by_places.take_remainder(n), group = work.by_groups.take_remainder(n);
    const int column = static_cast<int>(element % p.W), row = static_cast<int>(element / p.W);
    LongSum sums[channels_a_thread];
#pragma unroll 1  // what a tap has to do is long, and the same for all
    for (int r = 0; r < taps; ++r) {
#pragma unroll 1
      for (int c = 0; c < taps; ++c) {
        const std::int64_t cell = cells.number(row - r, column - c);
        const auto add = [&](std::int64_t result) {
          const SampledPlace place = place_at(p, flow, n, result);
          const float weight = weight_of<taps>(place.rows, r) * weight_of<taps>(place.columns, c);
          each_channel(p, n, group, [&](int k, std::int64_t plane) {
            sums[k].add_product(weight, read(dy, plane * p.places() + result));
          });
        };
        const int head = heads[n * cells.count() + cell];
        const int* of_image = next + n * p.places();
        int length = 0;
        for (int at = head; at > 0 && length <= longest; at = of_image[at - 1]) ++length;
        if (length <= longest) {
          each_in_order(head, of_image, add);
          continue;
        }
        for (std::int64_t result = 0; result < p.places(); ++result) {
          const SampledPlace place = place_at(p, flow, n, result);
          if (place.rows.first == row - r && place.columns.first == column - c) add(result);
        }
      }
    }
    each_channel(p, n, group,
                 [&](int k, std::int64_t plane) { write(dx, plane * p.H * p.W + element, sums[k].total()); });
  }
}

__global__ void affine_kernel(AffineFlow p, std::int64_t count, Reals matrices, RealResults flow) {
  for (std::int64_t i = first_element(); i < count; i += element_step()) {
    const std::int64_t column = i % p.width, row = i / p.width % p.height, axis = i / p.width / p.height;
    const float x = p.x(column), y = p.y(row);
    const float a = read(matrices, 3 * axis), b = read(matrices, 3 * axis + 1), c = read(matrices, 3 * axis + 2);
    const float start = b * y + c - (axis % 2 ? y : 0.0f), factor = a - (axis % 2 ? 0.0f : 1.0f);
    write(flow, i, factor * x + start);
  }
}

// A block for each row of each matrix.
__global__ void affine_backward_kernel(AffineFlow p, Reals dflow, RealResults dmatrices) {
  double of_x = 0.0, of_y = 0.0, of_one = 0.0;
  const std::int64_t places = p.height * p.width;
  for (std::int64_t at = threadIdx.x; at < places; at += threads_per_block) {
    const double d = read(dflow, blockIdx.x * places + at);
    of_x += d * p.x(at % p.width);
    of_y += d * p.y(at / p.width);
    of_one += d;
  }
  const double sums[3] = {block_sum<threads_per_block>(of_x), block_sum<threads_per_block>(of_y),
                          block_sum<threads_per_block>(of_one)};
  if (threadIdx.x != 0) return;
  for (int k = 0; k < 3; ++k) write(dmatrices, 3 * std::int64_t{blockIdx.x} + k, static_cast<float>(sums[k]));
}

}  // namespace

void warp(const Warp& p, Reals x, Reals flow, RealResults y) {
  const Work work(p, p.places());
  with_taps(p.interpolation, [&](auto by) { launch_elements(warp_kernel<by.taps>, work.count, p, work, x, flow, y); });
}

void warp_backward_data(const Warp& p, Reals dy, Reals flow, RealResults dx) {
  check(p.places() < INT_MAX, "warp_backward: the GPU takes results of up to 2147483646 places, got ", p.places());
  const std::int64_t cells = p.N * TouchedCells(p).count(), results = p.N * p.places();
  const Work work(p, p.H * p.W);
  const DeviceScratch<int> heads(cells), next(results);
  fill_zero(heads.data(), static_cast<std::size_t>(cells) * sizeof(int));
  launch_elements(link_cells_kernel, results, p, results, flow, heads.data(), next.data());
  with_taps(p.interpolation, [&](auto by) {
    launch_elements(data_kernel<by.taps>, work.count, p, work, dy, flow, static_cast<const int*>(heads.data()),
                    static_cast<const int*>(next.data()), dx);
  });
}

void warp_backward_flow(const Warp& p, Reals dy, Reals x, Reals flow, RealResults dflow) {
  const std::int64_t count = p.N * p.places();
  with_taps(p.interpolation,
            [&](auto by) { launch_elements(flow_kernel<by.taps>, count, p, count, dy, x, flow, dflow); });
}

void affine_flow(const AffineFlow& p, Reals matrices, RealResults flow) {
  const std::int64_t count = p.N * 2 * p.height * p.width;
  launch_elements(affine_kernel, count, p, count, matrices, flow);
}

void affine_flow_backward(const AffineFlow& p, Reals dflow, RealResults dmatrices) {
  check(p.N <= INT_MAX / 2, "affine_flow_backward: the GPU takes up to 1073741823 flow fields, got ", p.N);
  if (p.N == 0) return;
  launch(affine_backward_kernel, static_cast<unsigned>(2 * p.N), static_cast<unsigned>(threads_per_block), p, dflow,
         dmatrices);
}

}  // namespace dip::cuda
