// Kernels that several ways to convolve share, compiled once for each instruction set.
#include "ops/conv/cpu/kernels.h"

#include "cpu/gemm/tiles.h"

namespace dip::cpu::DIP_ISA {
namespace {

void copy_phase(const PhaseCopy& copy, const float* plane, float* to) {
  // The columns j for which 0 ≤ x0 + j·x_step < width.
  const std::int64_t first = copy.x0 < 0 ? (-copy.x0 + copy.x_step - 1) / copy.x_step : 0;
  const std::int64_t room = copy.width - copy.x0 + copy.x_step - 1;
  std::int64_t last = room > 0 ? room / copy.x_step : 0;
  if (last > copy.pitch) last = copy.pitch;
  for (std::int64_t i = 0; i < copy.rows; ++i, to += copy.pitch) {
    const std::int64_t y = copy.y0 + i * copy.y_step;
    std::int64_t j = 0;
    if (y >= 0 && y < copy.height && first < last) {
      const float* row = plane + y * copy.width + copy.x0;
      for (; j < first; ++j) to[j] = 0.0f;
      if (copy.x_step == 1) {
        copy_row(to + j, row + j, last - j);
        j = last;
      }
      for (; j < last; ++j) to[j] = row[j * copy.x_step];
    }
    for (; j < copy.pitch; ++j) to[j] = 0.0f;
  }
}

double sum(const float* values, std::int64_t count) {
  // Sixteen partial sums: enough to fill the vectors of every instruction set, and the same on each.
  double partial[16] = {};
  std::int64_t i = 0;
  for (; i + 16 <= count; i += 16) {
    for (int lane = 0; lane < 16; ++lane) partial[lane] += values[i + lane];
  }
  for (int lane = 0; i + lane < count; ++lane) partial[lane] += values[i + lane];
  for (int half = 8; half > 0; half /= 2) {
    for (int lane = 0; lane < half; ++lane) partial[lane] += partial[lane + half];
  }
  return partial[0];
}

}  // namespace

extern const PlaneKernels plane_kernels = {
    .copy_phase = copy_phase,
    .sum = sum,
};

}  // namespace dip::cpu::DIP_ISA
