// Batch normalisation on the CPU. A plane's sums are taken in float32, those of a channel's planes in float64 and in
// their order.
#include <algorithm>
#include <cmath>
#include <vector>

#include "cpu/parallel.h"
#include "ops/batch_norm/batch_norm.h"
#include "ops/batch_norm/kernels.h"

namespace dip::cpu {
using std::int64_t;

namespace {

double inverse_deviation(const BatchNorm& p, float var) {
  return 1.0 / std::sqrt(static_cast<double>(var) + p.eps);
}

struct Statistics {
  double mean, squares;  // squares: Σ(x − mean)²
};

Statistics combined(const BatchNorm& p, const Moments* planes) {
  double total = 0.0;
  for (int64_t n = 0; n < p.N; ++n) {
    const Moments& m = planes[n * p.C];
    total += static_cast<double>(m.shift) * p.inner + m.sum;
  }
  Statistics s{total / p.count(), 0.0};
  for (int64_t n = 0; n < p.N; ++n) {
    const Moments& m = planes[n * p.C];
    const double off = s.mean - m.shift;
    s.squares += m.squares + off * (off * p.inner - 2.0 * m.sum);
  }
  if (s.squares < 0.0) s.squares = 0.0;  // NaN stays
  return s;
}

}  // namespace

void batch_norm(const BatchNorm& p, Reals x, Reals mean, Reals var, Reals weight, Reals bias, RealResults y) {
  std::vector<float> scales(p.C);
  for (int64_t c = 0; c < p.C; ++c) {
    scales[c] = static_cast<float>((weight ? weight[c] : 1.0) * inverse_deviation(p, var[c]));
  }
  parallel_planes(p.N * p.C, p.inner, [&](int64_t plane) {
    const int64_t c = plane % p.C;
    batch_norm_kernels().normalize(x + plane * p.inner, p.inner, mean[c], scales[c], bias ? bias[c] : 0.0f,
                                   p.activation, y + plane * p.inner);
  });
}

void batch_norm_with_stats(const BatchNorm& p, Reals x, float* running_mean, float* running_var, Reals weight,
                           Reals bias, RealResults y, RealResults mean, RealResults var) {
  if (p.count() == 0) {
    std::fill_n(mean, p.C, 0.0f);
    std::fill_n(var, p.C, 0.0f);
    return;
  }
  std::vector<Moments> planes(p.N * p.C);
  parallel_planes(p.N * p.C, p.inner,
                  [&](int64_t plane) { planes[plane] = batch_norm_kernels().moments(x + plane * p.inner, p.inner); });
  for (int64_t c = 0; c < p.C; ++c) {
    const Statistics s = combined(p, planes.data() + c);
    mean[c] = static_cast<float>(s.mean);
    var[c] = static_cast<float>(s.squares / p.count());
    if (!running_mean) continue;
    const double unbiased = s.squares / (p.count() - 1);
    running_mean[c] = static_cast<float>(running_mean[c] + p.momentum * (s.mean - running_mean[c]));
    running_var[c] = static_cast<float>(running_var[c] + p.momentum * (unbiased - running_var[c]));
  }
  batch_norm(p, x, mean, var, weight, bias, y);
}

void batch_norm_backward(const BatchNorm& p, Reals dy, Reals x, Reals mean, Reals var, Reals weight, RealResults dx,
                         RealResults dweight, RealResults dbias) {
  if (p.count() == 0) {
    std::fill_n(dweight, p.C, 0.0f);
    std::fill_n(dbias, p.C, 0.0f);
    return;
  }
  struct Sums {
    float of[2];
  };
  std::vector<Sums> planes(p.N * p.C);
  parallel_planes(p.N * p.C, p.inner, [&](int64_t plane) {
    const int64_t at = plane * p.inner;
    batch_norm_kernels().backward_sums(dy + at, x + at, p.inner, mean[plane % p.C], planes[plane].of);
  });
  struct Channel {
    float scale, offset, slope;
  };
  std::vector<Channel> channels(p.C);
  for (int64_t c = 0; c < p.C; ++c) {
    double sum = 0.0, products = 0.0;
    for (int64_t n = 0; n < p.N; ++n) {
      sum += planes[n * p.C + c].of[0];
      products += planes[n * p.C + c].of[1];
    }
    const double inverse = inverse_deviation(p, var[c]);
    dbias[c] = static_cast<float>(sum);
    dweight[c] = static_cast<float>(products * inverse);
    channels[c].scale = static_cast<float>((weight ? weight[c] : 1.0) * inverse);
    channels[c].offset = p.training ? static_cast<float>(sum / p.count()) : 0.0f;
    channels[c].slope = p.training ? static_cast<float>(products * inverse * inverse / p.count()) : 0.0f;
  }
  parallel_planes(p.N * p.C, p.inner, [&](int64_t plane) {
    const int64_t at = plane * p.inner, c = plane % p.C;
    const Channel& k = channels[c];
    batch_norm_kernels().backward(dy + at, x + at, p.inner, mean[c], k.scale, k.offset, k.slope, dx + at);
  });
}

}  // namespace dip::cpu
