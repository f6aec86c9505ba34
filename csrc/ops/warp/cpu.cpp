// Warping on the CPU: places and weights are worked out once for a row of results, or for an image, and serve all
// channels.
#include <algorithm>
#include <vector>

#include "cpu/parallel.h"
#include "ops/warp/warp.h"

namespace dip::cpu {
using std::int64_t;

namespace {

struct Place {
  Taps rows, columns;
};

Place place_at(const Warp& p, const float* flow, int64_t at) {
  return {taps_at(p.interpolation, at / p.out_w, flow[p.places() + at]),
          taps_at(p.interpolation, at % p.out_w, flow[at])};
}

// body(element, row weight's number, column weight's number) for the taps that are inside.
template <class Body>
void each_tap(const Warp& p, const Place& place, const Body& body) {
  const int64_t top = place.rows.first, left = place.columns.first;
  const int first = static_cast<int>(std::max<int64_t>(-left, 0));
  const int last = static_cast<int>(std::min<int64_t>(place.columns.count, p.W - left));
  for (int i = 0; i < place.rows.count; ++i) {
    if (top + i < 0 || top + i >= p.H) continue;
    for (int j = first; j < last; ++j) body((top + i) * p.W + left + j, i, j);
  }
}

// body(image, first place of a row, places of the row) for all rows of results.
template <class Body>
void each_row(const Warp& p, Reals flow, const Body& body) {
  parallel_planes(p.N * p.out_h, p.C * p.out_w, [&](int64_t row) {
    const int64_t n = row / p.out_h, start = row % p.out_h * p.out_w;
    std::vector<Place> places(p.out_w);
    for (int64_t i = 0; i < p.out_w; ++i) places[i] = place_at(p, flow + n * 2 * p.places(), start + i);
    body(n, start, places);
  });
}

}  // namespace

void warp(const Warp& p, Reals x, Reals flow, RealResults y) {
  each_row(p, flow, [&](int64_t n, int64_t start, const std::vector<Place>& places) {
    for (int64_t plane = n * p.C; plane < (n + 1) * p.C; ++plane) {
      const float* from = x + plane * p.H * p.W;
      float* to = y + plane * p.places() + start;
      for (const Place& place : places) {
        float sum = 0.0f;
        each_tap(p, place,
                 [&](int64_t at, int i, int j) { sum += place.rows.weight[i] * place.columns.weight[j] * from[at]; });
        *to++ = sum;
      }
    }
  });
}

void warp_backward_data(const Warp& p, Reals dy, Reals flow, RealResults dx) {
  std::vector<Place> places(p.places());
  for (int64_t n = 0; n < p.N; ++n) {
    parallel_ranges(p.places(), 1 << 12, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) places[i] = place_at(p, flow + n * 2 * p.places(), i);
    });
    parallel_for(p.C, [&](int64_t c) {
      const int64_t plane = n * p.C + c;
      std::vector<double> sums(p.H * p.W);  // any number of results may come from one element
      const float* from = dy + plane * p.places();
      for (const Place& place : places) {
        const double d = *from++;
        each_tap(p, place,
                 [&](int64_t at, int i, int j) { sums[at] += d * (place.rows.weight[i] * place.columns.weight[j]); });
      }
      std::copy(sums.begin(), sums.end(), dx + plane * p.H * p.W);
    });
  }
}

void warp_backward_flow(const Warp& p, Reals dy, Reals x, Reals flow, RealResults dflow) {
  each_row(p, flow, [&](int64_t n, int64_t start, const std::vector<Place>& places) {
    std::vector<double> right(p.out_w), down(p.out_w);
    for (int64_t plane = n * p.C; plane < (n + 1) * p.C; ++plane) {
      const float *from = x + plane * p.H * p.W, *d = dy + plane * p.places() + start;
      for (int64_t k = 0; k < p.out_w; ++k) {
        const Place& place = places[k];
        float of_right = 0.0f, of_down = 0.0f;
        each_tap(p, place, [&](int64_t at, int i, int j) {
          of_right += place.rows.weight[i] * place.columns.slope[j] * from[at];
          of_down += place.rows.slope[i] * place.columns.weight[j] * from[at];
        });
        right[k] += static_cast<double>(of_right) * d[k];
        down[k] += static_cast<double>(of_down) * d[k];
      }
    }
    float* to = dflow + n * 2 * p.places() + start;
    std::copy(right.begin(), right.end(), to);
    std::copy(down.begin(), down.end(), to + p.places());
  });
}

void affine_flow(const AffineFlow& p, Reals matrices, RealResults flow) {
  parallel_planes(p.N * 2 * p.height, p.width, [&](int64_t i) {
    const int64_t row = i % p.height, axis = i / p.height;
    const float* m = matrices + 3 * axis;
    const float y = p.y(row), start = m[1] * y + m[2] - (axis % 2 ? y : 0.0f), factor = m[0] - (axis % 2 ? 0.0f : 1.0f);
    for (int64_t column = 0; column < p.width; ++column) flow[i * p.width + column] = factor * p.x(column) + start;
  });
}

void affine_flow_backward(const AffineFlow& p, Reals dflow, RealResults dmatrices) {
  parallel_for(p.N * 2, [&](int64_t i) {
    double sums[3] = {};
    const float* d = dflow + i * p.height * p.width;
    for (int64_t row = 0; row < p.height; ++row) {
      double of_row = 0.0;
      for (int64_t column = 0; column < p.width; ++column, ++d) {
        of_row += *d;
        sums[0] += static_cast<double>(*d) * p.x(column);
      }
      sums[1] += of_row * p.y(row);
      sums[2] += of_row;
    }
    for (int k = 0; k < 3; ++k) dmatrices[3 * i + k] = static_cast<float>(sums[k]);
  });
}

}  // namespace dip::cpu
