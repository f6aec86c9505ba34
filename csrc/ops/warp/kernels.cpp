// Bilinear warping on the CPU, compiled once for each instruction set.
#include "ops/warp/kernels.h"

#include "ops/warp/params.h"

namespace dip::cpu::DIP_ISA {
namespace {

void prepare(const float* flow_x, const float* flow_y, std::int64_t row, std::int64_t width, std::int64_t H,
             std::int64_t W, const Between& places) {
  for (std::int64_t i = 0; i < width; ++i) {
    const Step right = step_of(flow_x[i]), down = step_of(flow_y[i]);
    const std::int64_t column = i + right.whole, line = row + down.whole;
    const bool inside = column >= 0 && column + 1 < W && line >= 0 && line + 1 < H;
    places.first[i] = inside ? static_cast<std::int32_t>(line * W + column) : -1;
    places.right[i] = right.rest;
    places.down[i] = down.rest;
  }
}

void forward(const Between& places, std::int64_t width, std::int64_t W, const float* x, float* y) {
  for (std::int64_t i = 0; i < width; ++i) {
    if (places.first[i] < 0) continue;
    const float *upper = x + places.first[i], *lower = upper + W;
    const float right = places.right[i], left = 1.0f - right, down = places.down[i];
    y[i] = (left * upper[0] + right * upper[1]) * (1.0f - down) + (left * lower[0] + right * lower[1]) * down;
  }
}

void backward_data(const Between& places, std::int64_t width, std::int64_t W, const float* dy, double* sums) {
  for (std::int64_t i = 0; i < width; ++i) {
    if (places.first[i] < 0) continue;
    double *upper = sums + places.first[i], *lower = upper + W;
    const double right = places.right[i], lower_part = dy[i] * static_cast<double>(places.down[i]);
    const double upper_part = dy[i] - lower_part;
    upper[0] += upper_part - upper_part * right;
    upper[1] += upper_part * right;
    lower[0] += lower_part - lower_part * right;
    lower[1] += lower_part * right;
  }
}

void backward_flow(const Between& places, std::int64_t width, std::int64_t W, const float* dy, const float* x,
                   double* right, double* down) {
  for (std::int64_t i = 0; i < width; ++i) {
    if (places.first[i] < 0) continue;
    const float *upper = x + places.first[i], *lower = upper + W;
    const float r = places.right[i], d = places.down[i];
    const float of_right = (upper[1] - upper[0]) * (1.0f - d) + (lower[1] - lower[0]) * d;
    const float of_down = (lower[0] - upper[0]) * (1.0f - r) + (lower[1] - upper[1]) * r;
    right[i] += static_cast<double>(of_right) * dy[i];
    down[i] += static_cast<double>(of_down) * dy[i];
  }
}

}  // namespace

extern const WarpKernels warp_kernels = {
    .prepare = prepare, .forward = forward, .backward_data = backward_data, .backward_flow = backward_flow};

}  // namespace dip::cpu::DIP_ISA
