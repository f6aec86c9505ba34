// Bilinear interpolation on the CPU, compiled once for each instruction set: first between two rows, which is vector
// work, then between the columns of what that gives, which the cache has.
#include "ops/upsample_bilinear/kernels.h"

#include "cpu/simd.h"

namespace dip::cpu::DIP_ISA {
namespace {

void row(const float* a, const float* b, float weight, std::int64_t in_width, const Sources& columns,
         std::int64_t width, float* between, float* y) {
  const F weights = broadcast(weight), rest = broadcast(1.0f - weight);
  for (std::int64_t i = 0; i < in_width; i += W) {
    const std::int64_t n = lanes_at(i, in_width);
    store_some(between + i, load_some(a + i, n) * rest + load_some(b + i, n) * weights, n);
  }
  for (std::int64_t o = 0; o < width; ++o) {
    const float w = columns.weight[o];
    y[o] = between[columns.first[o]] * (1.0f - w) + between[columns.second[o]] * w;
  }
}

void row_backward(const float* dy, const Sources& columns, std::int64_t width, float weight, std::int64_t in_width,
                  double* between, double* a, double* b) {
  for (std::int64_t i = 0; i < in_width; ++i) between[i] = 0.0;
  for (std::int64_t o = 0; o < width; ++o) {
    const double d = dy[o], w = columns.weight[o];
    between[columns.first[o]] += d * (1.0 - w);
    between[columns.second[o]] += d * w;
  }
  const double w = weight;
  for (std::int64_t i = 0; i < in_width; ++i) {
    a[i] += between[i] * (1.0 - w);
    b[i] += between[i] * w;
  }
}

}  // namespace

extern const UpsampleBilinearKernels upsample_bilinear_kernels = {.row = row, .row_backward = row_backward};

}  // namespace dip::cpu::DIP_ISA
