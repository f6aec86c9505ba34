// Warping on the CPU: places and weights are worked out once for a row of results, or for an image, and serve all
// channels.
#include <algorithm>
#include <cmath>
#include <vector>

#include "cpu/parallel.h"
#include "cpu/scratch.h"
#include "ops/warp/kernels.h"
#include "ops/warp/warp.h"

namespace dip::cpu {
using std::int64_t;

namespace {

// The flow of one image, and what its results are by definition.
struct Flow {
  const Warp& p;
  const float* right;  // how far each result is read to the right; how far down stands behind

  Flow(const Warp& warp, Reals flow, int64_t n) : p(warp), right(flow + n * 2 * warp.places()) {}
  const float* down() const { return right + p.places(); }

  Taps rows(int64_t row, int64_t column) const { return taps_at(p.interpolation, row, down()[row * p.out_w + column]); }
  Taps columns(int64_t row, int64_t column) const {
    return taps_at(p.interpolation, column, right[row * p.out_w + column]);
  }
};

// body(element, row weight's number, column weight's number) for the taps that are inside.
template <class Body>
void each_tap(const Warp& p, const Taps& rows, const Taps& columns, const Body& body) {
  for (int i = 0; i < rows.count; ++i) {
    if (rows.first + i < 0 || rows.first + i >= p.H) continue;
    for (int j = 0; j < columns.count; ++j) {
      if (columns.first + j < 0 || columns.first + j >= p.W) continue;
      body((rows.first + i) * p.W + columns.first + j, i, j);
    }
  }
}

// Where some rows of an image's results are read. A block that would reach over x's border is moved inside, and what it
// then has in excess gets the weight 0. Times an infinity or NaN that is NaN, so that such a result, one of border(),
// is to be looked at again.
class Places {
 public:
  Places(const Warp& p, int64_t rows, bool has_slopes)
      : p_(p),
        taps_(taps_of(p.interpolation)),
        first_(rows * p.out_w),
        weights_(first_.size() * 2 * taps_),
        slopes_(has_slopes ? weights_.size() : 0),
        border_(rows) {}

  // False where x is smaller than a block, or results are too many for the kernels' indices: then nothing is prepared,
  // and all results are of the border.
  bool has_blocks() const {
    constexpr int64_t most = 1 << 30;
    return p_.H >= taps_ && p_.W >= taps_ && p_.out_h < most && p_.out_w < most;
  }

  // Row `row` of the image becomes number `at` of these.
  void prepare(int64_t at, const Flow& flow, int64_t row) {
    border_[at].clear();
    const WarpedRow to = blocks(at);
    const bool prepared = has_blocks();
    if (prepared) {
      warp_kernels().prepare(p_.interpolation, flow.right + row * p_.out_w, flow.down() + row * p_.out_w, row, p_.H,
                             p_.W, to);
    }
    for (int64_t i = 0; i < p_.out_w; ++i) {
      if (prepared && to.first[i] >= 0) continue;
      border_[at].push_back(i);
      if (prepared) move_inside(to, i, flow.rows(row, i), flow.columns(row, i));
    }
  }

  WarpedRow blocks(int64_t at) {
    const int64_t first = at * p_.out_w;
    return {p_.out_w, first_.data() + first, weights_.data() + first * 2 * taps_,
            slopes_.empty() ? nullptr : slopes_.data() + first * 2 * taps_};
  }

  const std::vector<int64_t>& border(int64_t at) const { return border_[at]; }

 private:
  void move_inside(const WarpedRow& to, int64_t i, const Taps& rows, const Taps& columns) {
    const int64_t top = std::clamp<int64_t>(rows.first, 0, p_.H - taps_);
    const int64_t left = std::clamp<int64_t>(columns.first, 0, p_.W - taps_);
    to.first[i] = static_cast<std::int32_t>(top * p_.W + left);
    const auto move = [&](const Taps& taps, int64_t start, int64_t at) {
      for (int k = 0; k < taps_; ++k) {
        const int64_t tap = start + k - taps.first;
        const bool is_tap = tap >= 0 && tap < taps_;
        to.weights[at + k] = is_tap ? taps.weight[tap] : 0.0f;
        if (to.slopes) to.slopes[at + k] = is_tap ? taps.slope[tap] : 0.0f;
      }
    };
    move(columns, left, i * 2 * taps_);
    move(rows, top, i * 2 * taps_ + taps_);
  }

  const Warp& p_;
  int taps_;
  std::vector<std::int32_t> first_;
  std::vector<float> weights_, slopes_;
  std::vector<std::vector<int64_t>> border_;
};

// body(image, row, flow, its places) for all rows of results. A thread takes a band of rows, for which it has memory
// once.
template <class Body>
void each_row(const Warp& p, Reals flow, bool has_slopes, const Body& body) {
  constexpr int64_t band = 8;
  const int64_t bands = divide_up(p.out_h, band);
  parallel_planes(p.N * bands, band * p.C * p.out_w, [&](int64_t i) {
    const int64_t n = i / bands, begin = i % bands * band;
    const Flow of_image(p, flow, n);
    Places places(p, 1, has_slopes);
    for (int64_t row = begin; row < std::min(p.out_h, begin + band); ++row) {
      places.prepare(0, of_image, row);
      body(n, row, of_image, places);
    }
  });
}

}  // namespace

void warp(const Warp& p, Reals x, Reals flow, RealResults y) {
  each_row(p, flow, false, [&](int64_t n, int64_t row, const Flow& of_image, Places& places) {
    for (int64_t plane = n * p.C; plane < (n + 1) * p.C; ++plane) {
      const float* from = x + plane * p.H * p.W;
      float* to = y + plane * p.places() + row * p.out_w;
      if (places.has_blocks()) warp_kernels().forward(p.interpolation, places.blocks(0), p.W, from, to);
      for (int64_t column : places.border(0)) {
        if (places.has_blocks() && !std::isnan(to[column])) continue;
        const Taps rows = of_image.rows(row, column), columns = of_image.columns(row, column);
        float sum = 0.0f;
        each_tap(p, rows, columns,
                 [&](int64_t at, int i, int j) { sum += rows.weight[i] * columns.weight[j] * from[at]; });
        to[column] = sum;
      }
    }
  });
}

void warp_backward_data(const Warp& p, Reals dy, Reals flow, RealResults dx) {
  // As many images at a time as keep all threads busy with their planes, and not too many places to remember.
  constexpr int64_t most_places = 1 << 22;
  const int64_t wanted = std::min(divide_up(2 * num_threads(), p.C), most_places / std::max<int64_t>(p.places(), 1));
  const int64_t at_a_time = std::clamp<int64_t>(wanted, 1, p.N);
  Places places(p, at_a_time * p.out_h, false);
  for (int64_t begin = 0; begin < p.N; begin += at_a_time) {
    const int64_t images = std::min(at_a_time, p.N - begin);
    parallel_planes(images * p.out_h, p.out_w,
                    [&](int64_t i) { places.prepare(i, Flow(p, flow, begin + i / p.out_h), i % p.out_h); });
    parallel_for(images * p.C, [&](int64_t i) {
      const int64_t plane = begin * p.C + i, first_row = i / p.C * p.out_h;
      const Flow of_image(p, flow, begin + i / p.C);
      static thread_local Scratch sums_scratch;
      double* sums = sums_scratch.doubles(p.H * p.W);  // any number of results may come from one element
      std::fill_n(sums, p.H * p.W, 0.0);
      std::vector<float> finite(p.out_w);
      std::vector<int64_t> left_out;  // of the border, as an infinity or NaN would spoil what has the weight 0
      for (int64_t row = 0; row < p.out_h; ++row) {
        const float* from = dy + plane * p.places() + row * p.out_w;
        left_out.clear();
        for (int64_t column : places.border(first_row + row)) {
          if (!places.has_blocks() || !std::isfinite(from[column])) left_out.push_back(column);
        }
        if (places.has_blocks()) {
          const float* added = from;
          if (!left_out.empty()) {
            std::copy_n(from, p.out_w, finite.data());
            for (int64_t column : left_out) finite[column] = 0.0f;
            added = finite.data();
          }
          warp_kernels().backward_data(p.interpolation, places.blocks(first_row + row), p.W, added, sums);
        }
        for (int64_t column : left_out) {
          const Taps rows = of_image.rows(row, column), columns = of_image.columns(row, column);
          const double d = from[column];
          each_tap(p, rows, columns,
                   [&](int64_t at, int i, int j) { sums[at] += d * (rows.weight[i] * columns.weight[j]); });
        }
      }
      std::copy_n(sums, p.H * p.W, dx + plane * p.H * p.W);
    });
  }
}

void warp_backward_flow(const Warp& p, Reals dy, Reals x, Reals flow, RealResults dflow) {
  each_row(p, flow, true, [&](int64_t n, int64_t row, const Flow& of_image, Places& places) {
    std::vector<double> right(p.out_w), down(p.out_w);
    const auto slope = [&](int64_t plane) { return dy + plane * p.places() + row * p.out_w; };
    for (int64_t plane = n * p.C; places.has_blocks() && plane < (n + 1) * p.C; ++plane) {
      warp_kernels().backward_flow(p.interpolation, places.blocks(0), p.W, slope(plane), x + plane * p.H * p.W,
                                   right.data(), down.data());
    }
    for (int64_t column : places.border(0)) {
      if (places.has_blocks() && !std::isnan(right[column]) && !std::isnan(down[column])) continue;
      const Taps rows = of_image.rows(row, column), columns = of_image.columns(row, column);
      right[column] = down[column] = 0.0;
      for (int64_t plane = n * p.C; plane < (n + 1) * p.C; ++plane) {
        const float* from = x + plane * p.H * p.W;
        float of_right = 0.0f, of_down = 0.0f;
        each_tap(p, rows, columns, [&](int64_t at, int i, int j) {
          of_right += rows.weight[i] * columns.slope[j] * from[at];
          of_down += rows.slope[i] * columns.weight[j] * from[at];
        });
        right[column] += static_cast<double>(of_right) * slope(plane)[column];
        down[column] += static_cast<double>(of_down) * slope(plane)[column];
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
