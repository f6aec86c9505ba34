// Sums on the GPU in float64: every thread adds its share in order, trees add the lanes of a warp and the warps of a
// block, one more block adds the blocks. No atomics, so the bits are the same on every run.
#pragma once

#include "core/reals.h"
#include "cuda/device.h"

namespace dip::cuda {

// The sum over a block of so many threads, for all of them. All must call it.
template <int threads = threads_per_block>
__device__ double block_sum(double value) {
  constexpr int lanes = 32, warps = threads / lanes;
  static_assert(threads % lanes == 0 && warps <= lanes, "one warp adds what the warps have");
  DIP_SHARED_ARRAY(double, of_warps, warps);
  const int lane = static_cast<int>(threadIdx.x) % lanes, warp = static_cast<int>(threadIdx.x) / lanes;
  for (int mask = lanes / 2; mask > 0; mask /= 2) value += shuffle_xor(value, mask);
  __syncthreads();  // an earlier sum has been read
  if (lane == 0) of_warps[warp] = value;
  __syncthreads();
  value = lane < warps ? static_cast<double>(of_warps[lane]) : 0.0;
  for (int mask = lanes / 2; mask > 0; mask /= 2) value += shuffle_xor(value, mask);
  return value;
}

template <class Body>
__global__ void partial_sum_kernel(Body body, std::int64_t count, double* partial) {
  double sum = 0.0;
  stream_elements(
      count, [&](std::int64_t i) { return body.read(i); },
      [&](std::int64_t i, auto taken) { sum += body.value(i, taken); });
  sum = block_sum(sum);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

// *total = Σ partial[i] / divisor / *device_divisor, where there is one.
void finish_sum(const double* partial, int count, double divisor, const double* device_divisor, double* total);

// *total = Σ body.value(i, body.read(i)) / divisor / *device_divisor. value() may write what belongs to element i.
template <class Body>
void sum_elements(std::int64_t count, Body body, double divisor, const double* device_divisor, double* total) {
  constexpr std::int64_t most_partials = 1024;
  const std::int64_t blocks = (count + threads_per_block - 1) / threads_per_block;
  const int partials = static_cast<int>(blocks < 1 ? 1 : blocks < most_partials ? blocks : most_partials);
  DeviceScratch<double> partial(partials);
  launch(partial_sum_kernel<Body>, static_cast<unsigned>(partials), threads_per_block, body, count, partial.data());
  finish_sum(partial.data(), partials, divisor, device_divisor, total);
}

// sums[c] = Σ x over outer and inner, x (outer, channels, inner).
void sum_channels(std::int64_t outer, std::int64_t channels, std::int64_t inner, Reals x, RealResults sums);

}  // namespace dip::cuda
