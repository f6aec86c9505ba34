// Pooling of regions of interest on the CPU. Forward a box and some of its maps are a task, backward a map, to which
// all boxes add in order.
#include <algorithm>
#include <vector>

#include "cpu/parallel.h"
#include "ops/roi/roi.h"

namespace dip::cpu {
using std::int64_t;

namespace {

constexpr int64_t maps_together = 32;

// body(k, c) for every box and map. The caller's other threads may have changed `images` since they were checked.
template <class Prepare, class Body>
void each_map(const Roi& p, const int64_t* images, const Prepare& prepare, const Body& body) {
  const int64_t parts = divide_up(p.C, maps_together);
  parallel_for(p.K * parts, [&](int64_t task) {
    const int64_t k = task / parts, first = task % parts * maps_together;
    const int64_t n = images[k];
    if (n < 0 || n >= p.N) return;
    const auto prepared = prepare(k);
    for (int64_t c = first; c < std::min(first + maps_together, p.C); ++c) body(prepared, k, n, c);
  });
}

// The weights of a bin along an axis, for the elements from `first`.
struct BinTaps {
  int64_t first = 0;
  std::vector<float> weights;
};

BinTaps bin_taps(const Roi& p, double start, double end, int64_t bin, int64_t bins, int64_t extent) {
  BinTaps taps;
  std::vector<Sample> samples(p.samples);
  int64_t last = -1;
  taps.first = extent;
  for (int64_t s = 0; s < p.samples; ++s) {
    samples[s] = align_sample(p, start, end, bin, s, bins, extent);
    if (samples[s].weight_low + samples[s].weight_high == 0.0f) continue;
    taps.first = std::min(taps.first, samples[s].low);
    last = std::max(last, samples[s].high);
  }
  if (last < 0) return taps;
  taps.weights.resize(last - taps.first + 1);
  const float share = 1.0f / static_cast<float>(p.samples);
  for (const Sample& sample : samples) {
    if (sample.weight_low + sample.weight_high == 0.0f) continue;
    taps.weights[sample.low - taps.first] += sample.weight_low * share;
    taps.weights[sample.high - taps.first] += sample.weight_high * share;
  }
  return taps;
}

// Of one box: its mean over samples is a product of weights of rows and of columns.
struct AlignWeights {
  std::vector<BinTaps> rows, columns;
  int64_t left = 0, right = 0;  // the columns that have a weight

  AlignWeights(const Roi& p, const float* box) {
    for (int64_t bin = 0; bin < p.bins_h; ++bin) rows.push_back(bin_taps(p, box[1], box[3], bin, p.bins_h, p.H));
    left = p.W;
    for (int64_t bin = 0; bin < p.bins_w; ++bin) {
      columns.push_back(bin_taps(p, box[0], box[2], bin, p.bins_w, p.W));
      const BinTaps& taps = columns.back();
      if (taps.weights.empty()) continue;
      left = std::min(left, taps.first);
      right = std::max(right, taps.first + static_cast<int64_t>(taps.weights.size()));
    }
    left = std::min(left, right);
  }
};

// Writes the sums of a map's gradient, which `add(sum)` fills in float64: many boxes may cover an element.
template <class Add>
void gather_map(const Roi& p, float* dx, const Add& add) {
  std::vector<double> sums(p.H * p.W);
  add(sums.data());
  std::copy(sums.begin(), sums.end(), dx);
}

}  // namespace

void roi_pool(const Roi& p, Reals x, Reals boxes, const int64_t* images, RealResults y, std::int32_t* indices) {
  const int64_t bins = p.bins_h * p.bins_w;
  std::fill(y, y + p.K * p.C * bins, 0.0f);
  std::fill(indices, indices + p.K * p.C * bins, -1);
  const auto bins_of = [&](int64_t k) {  // rows, then columns
    std::vector<Bin> of_box;
    const float* box = boxes + 4 * k;
    for (int64_t i = 0; i < p.bins_h; ++i) of_box.push_back(pool_bin(box[1], box[3], p.scale, i, p.bins_h, p.H));
    for (int64_t i = 0; i < p.bins_w; ++i) of_box.push_back(pool_bin(box[0], box[2], p.scale, i, p.bins_w, p.W));
    return of_box;
  };
  each_map(p, images, bins_of, [&](const std::vector<Bin>& of_box, int64_t k, int64_t n, int64_t c) {
    const float* map = x + (n * p.C + c) * p.H * p.W;
    for (int64_t i = 0; i < bins; ++i) {
      const Bin rows = of_box[i / p.bins_w], columns = of_box[p.bins_h + i % p.bins_w];
      int64_t best = -1;
      for (int64_t h = rows.first; h < rows.last; ++h) {
        for (int64_t at = h * p.W + columns.first; at < h * p.W + columns.last; ++at) {
          if (best < 0 || map[at] > map[best] || (map[at] != map[at] && map[best] == map[best])) best = at;
        }
      }
      if (best < 0) continue;
      y[(k * p.C + c) * bins + i] = map[best];
      indices[(k * p.C + c) * bins + i] = static_cast<std::int32_t>(best);
    }
  });
}

void roi_pool_backward(const Roi& p, Reals dy, Reals, const int64_t* images, const std::int32_t* indices,
                       RealResults dx) {
  const int64_t bins = p.bins_h * p.bins_w, size = p.H * p.W;
  parallel_for(p.N * p.C, [&](int64_t plane) {
    gather_map(p, dx + plane * size, [&](double* sums) {
      for (int64_t k = 0; k < p.K; ++k) {
        if (images[k] != plane / p.C) continue;
        const int64_t first = (k * p.C + plane % p.C) * bins;
        for (int64_t i = first; i < first + bins; ++i) {
          const int64_t at = indices[i];
          if (at >= 0 && at < size) sums[at] += dy[i];
        }
      }
    });
  });
}

void roi_align(const Roi& p, Reals x, Reals boxes, const int64_t* images, RealResults y) {
  const int64_t bins = p.bins_h * p.bins_w;
  std::fill(y, y + p.K * p.C * bins, 0.0f);
  const auto weights_of = [&](int64_t k) { return AlignWeights(p, boxes + 4 * k); };
  each_map(p, images, weights_of, [&](const AlignWeights& weights, int64_t k, int64_t n, int64_t c) {
    const float* map = x + (n * p.C + c) * p.H * p.W;
    float* to = y + (k * p.C + c) * bins;
    std::vector<float> mixed(weights.right - weights.left);  // of the rows of a bin
    for (const BinTaps& rows : weights.rows) {
      std::fill(mixed.begin(), mixed.end(), 0.0f);
      for (std::size_t r = 0; r < rows.weights.size(); ++r) {
        const float weight = rows.weights[r];
        const float* row = map + (rows.first + static_cast<int64_t>(r)) * p.W + weights.left;
        for (std::size_t i = 0; i < mixed.size(); ++i) mixed[i] += weight * row[i];
      }
      for (const BinTaps& columns : weights.columns) {
        float sum = 0.0f;
        for (std::size_t i = 0; i < columns.weights.size(); ++i) {
          sum += columns.weights[i] * mixed[columns.first - weights.left + static_cast<int64_t>(i)];
        }
        *to++ = sum;
      }
    }
  });
}

void roi_align_backward(const Roi& p, Reals dy, Reals boxes, const int64_t* images, RealResults dx) {
  const int64_t bins = p.bins_h * p.bins_w;
  std::vector<AlignWeights> weights;
  for (int64_t k = 0; k < p.K; ++k) weights.emplace_back(p, boxes + 4 * k);
  parallel_for(p.N * p.C, [&](int64_t plane) {
    std::vector<double> mixed(p.W);
    gather_map(p, dx + plane * p.H * p.W, [&](double* sums) {
      for (int64_t k = 0; k < p.K; ++k) {
        if (images[k] != plane / p.C) continue;
        const float* from = dy + (k * p.C + plane % p.C) * bins;
        const int64_t left = weights[k].left, right = weights[k].right;
        for (const BinTaps& rows : weights[k].rows) {
          std::fill(mixed.begin() + left, mixed.begin() + right, 0.0);
          for (const BinTaps& columns : weights[k].columns) {
            const double d = *from++;
            for (std::size_t i = 0; i < columns.weights.size(); ++i) mixed[columns.first + i] += d * columns.weights[i];
          }
          for (std::size_t r = 0; r < rows.weights.size(); ++r) {
            double* row = sums + (rows.first + static_cast<int64_t>(r)) * p.W;
            for (int64_t w = left; w < right; ++w) row[w] += rows.weights[r] * mixed[w];
          }
        }
      }
    });
  });
}

}  // namespace dip::cpu
