#include <algorithm>
#include <vector>

#include "cpu/parallel.h"
#include "ops/upsample_bilinear/kernels.h"
#include "ops/upsample_bilinear/upsample_bilinear.h"

namespace dip::cpu {
using std::int64_t;

namespace {

// The sources of every result along one axis.
class Table {
 public:
  Table(int64_t small, int64_t large, bool align_corners) : first_(large), second_(large), weight_(large) {
    for (int64_t o = 0; o < large; ++o) {
      const Source source = source_of(o, small, large, align_corners);
      first_[o] = static_cast<std::int32_t>(source.first);
      second_[o] = static_cast<std::int32_t>(std::min(source.first + 1, small - 1));
      weight_[o] = source.weight;
    }
  }
  Sources sources() const { return {first_.data(), second_.data(), weight_.data()}; }

 private:
  std::vector<std::int32_t> first_, second_;
  std::vector<float> weight_;
};

}  // namespace

void upsample_bilinear2d(const Bilinear& p, int64_t planes, Reals x, RealResults y) {
  const Table row_table(p.height, p.large_height, p.align_corners), columns(p.width, p.large_width, p.align_corners);
  const Sources rows = row_table.sources();
  const int64_t in = p.height * p.width, out = p.large_height * p.large_width;
  parallel_planes(planes, out, [&](int64_t plane) {
    std::vector<float> between(p.width);
    for (int64_t row = 0; row < p.large_height; ++row) {
      const float* from = x + plane * in;
      upsample_bilinear_kernels().row(from + rows.first[row] * p.width, from + rows.second[row] * p.width,
                                      rows.weight[row], p.width, columns.sources(), p.large_width, between.data(),
                                      y + plane * out + row * p.large_width);
    }
  });
}

void upsample_bilinear2d_backward(const Bilinear& p, int64_t planes, Reals dy, RealResults dx) {
  const Table row_table(p.height, p.large_height, p.align_corners), columns(p.width, p.large_width, p.align_corners);
  const Sources rows = row_table.sources();
  const int64_t in = p.height * p.width, out = p.large_height * p.large_width;
  parallel_planes(planes, out, [&](int64_t plane) {
    std::vector<double> between(p.width), sums(in);
    for (int64_t row = 0; row < p.large_height; ++row) {
      upsample_bilinear_kernels().row_backward(
          dy + plane * out + row * p.large_width, columns.sources(), p.large_width, rows.weight[row], p.width,
          between.data(), sums.data() + rows.first[row] * p.width, sums.data() + rows.second[row] * p.width);
    }
    std::copy(sums.begin(), sums.end(), dx + plane * in);
  });
}

}  // namespace dip::cpu
