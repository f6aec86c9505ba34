// Warping on the CPU: places and weights are worked out once for a row of results, or for an image, and serve all
// channels. Bilinear interpolation within the image has kernels of its own.
#include <algorithm>
#include <vector>

#include "cpu/parallel.h"
#include "ops/warp/kernels.h"
#include "ops/warp/warp.h"

namespace dip::cpu {
using std::int64_t;

namespace {

struct Place {
  Taps rows, columns;
};

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

// Where some rows of an image's results are read.
class Places {
 public:
  Places(const Warp& p, int64_t rows)
      : p_(p), first_(rows * p.out_w, -1), right_(rows * p.out_w), down_(rows * p.out_w), others_(rows) {}

  // Row `row` of the image, whose flow this is, becomes number `at` of these.
  void prepare(int64_t at, const float* flow, int64_t row) {
    const float *flow_x = flow + row * p_.out_w, *flow_y = flow_x + p_.places();
    std::fill_n(first_.begin() + at * p_.out_w, p_.out_w, -1);
    if (p_.interpolation == Interpolation::bilinear) {
      warp_kernels().prepare(flow_x, flow_y, row, p_.out_w, p_.H, p_.W, between(at));
    }
    others_[at].clear();
    for (int64_t i = 0; i < p_.out_w; ++i) {
      if (first_[at * p_.out_w + i] >= 0) continue;
      const Place place = {taps_at(p_.interpolation, row, flow_y[i]), taps_at(p_.interpolation, i, flow_x[i])};
      others_[at].emplace_back(i, place);
    }
  }

  Between between(int64_t at) {
    return {first_.data() + at * p_.out_w, right_.data() + at * p_.out_w, down_.data() + at * p_.out_w};
  }

  // Those that the kernels leave out, by column.
  const std::vector<std::pair<int64_t, Place>>& others(int64_t at) const { return others_[at]; }

 private:
  const Warp& p_;
  std::vector<std::int32_t> first_;
  std::vector<float> right_, down_;
  std::vector<std::vector<std::pair<int64_t, Place>>> others_;
};

// body(image, row, its places) for all rows of results.
template <class Body>
void each_row(const Warp& p, Reals flow, const Body& body) {
  parallel_planes(p.N * p.out_h, p.C * p.out_w, [&](int64_t i) {
    Places places(p, 1);
    places.prepare(0, flow + i / p.out_h * 2 * p.places(), i % p.out_h);
    body(i / p.out_h, i % p.out_h, places);
  });
}

}  // namespace

void warp(const Warp& p, Reals x, Reals flow, RealResults y) {
  each_row(p, flow, [&](int64_t n, int64_t row, Places& places) {
    for (int64_t plane = n * p.C; plane < (n + 1) * p.C; ++plane) {
      const float* from = x + plane * p.H * p.W;
      float* to = y + plane * p.places() + row * p.out_w;
      warp_kernels().forward(places.between(0), p.out_w, p.W, from, to);
      for (const auto& [column, place] : places.others(0)) {
        float sum = 0.0f;
        each_tap(p, place, [&, &place = place](int64_t at, int i, int j) {
          sum += place.rows.weight[i] * place.columns.weight[j] * from[at];
        });
        to[column] = sum;
      }
    }
  });
}

void warp_backward_data(const Warp& p, Reals dy, Reals flow, RealResults dx) {
  Places places(p, p.out_h);
  for (int64_t n = 0; n < p.N; ++n) {
    parallel_planes(p.out_h, p.out_w, [&](int64_t row) { places.prepare(row, flow + n * 2 * p.places(), row); });
    parallel_for(p.C, [&](int64_t c) {
      const int64_t plane = n * p.C + c;
      std::vector<double> sums(p.H * p.W);  // any number of results may come from one element
      for (int64_t row = 0; row < p.out_h; ++row) {
        const float* from = dy + plane * p.places() + row * p.out_w;
        warp_kernels().backward_data(places.between(row), p.out_w, p.W, from, sums.data());
        for (const auto& [column, place] : places.others(row)) {
          const double d = from[column];
          each_tap(p, place, [&, &place = place](int64_t at, int i, int j) {
            sums[at] += d * (place.rows.weight[i] * place.columns.weight[j]);
          });
        }
      }
      std::copy(sums.begin(), sums.end(), dx + plane * p.H * p.W);
    });
  }
}

void warp_backward_flow(const Warp& p, Reals dy, Reals x, Reals flow, RealResults dflow) {
  each_row(p, flow, [&](int64_t n, int64_t row, Places& places) {
    std::vector<double> right(p.out_w), down(p.out_w);
    for (int64_t plane = n * p.C; plane < (n + 1) * p.C; ++plane) {
      const float *from = x + plane * p.H * p.W, *d = dy + plane * p.places() + row * p.out_w;
      warp_kernels().backward_flow(places.between(0), p.out_w, p.W, d, from, right.data(), down.data());
      for (const auto& [column, place] : places.others(0)) {
        float of_right = 0.0f, of_down = 0.0f;
        each_tap(p, place, [&, &place = place](int64_t at, int i, int j) {
          of_right += place.rows.weight[i] * place.columns.slope[j] * from[at];
          of_down += place.rows.slope[i] * place.columns.weight[j] * from[at];
        });
        right[column] += static_cast<double>(of_right) * d[column];
        down[column] += static_cast<double>(of_down) * d[column];
      }
    }
    float* to = dflow + n * 2 * p.places() + row * p.out_w;
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
