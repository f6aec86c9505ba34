#include "core/sum.h"

#include <algorithm>

#include "cuda/half.h"
#include "cuda/sum.h"

namespace dip::cuda {
namespace {

struct Element {
  const float* values;
  __device__ float read(std::int64_t i) const { return values[i]; }
  __device__ double value(std::int64_t, float x) const { return x; }
};

__global__ void finish_sum_kernel(const double* partial, int count, double divisor, const double* device_divisor,
                                  double* total) {
  double sum = 0.0;
  for (int i = static_cast<int>(threadIdx.x); i < count; i += threads_per_block) sum += partial[i];
  sum = block_sum(sum);
  const double whole = divisor * (device_divisor ? *device_divisor : 1.0);
  if (threadIdx.x == 0) *total = whole == 0.0 ? static_cast<double>(NAN) : sum / whole;
}

// A block of so many threads adds part blockIdx.y of the rows of 32 channels, or of one channel whose numbers lie side
// by side; every lane its own, then the lanes as a tree: partial[part][channel]. Where there is one part it is the
// result.
template <bool side_by_side, int threads>
__global__ void channel_kernel(std::int64_t outer, std::int64_t channels, std::int64_t inner, Reals x, double* partial,
                               RealResults result) {
  constexpr int width = side_by_side ? 1 : 32, lanes = threads / width;
  DIP_SHARED_ARRAY(double, sums, threads);
  const int lane = static_cast<int>(threadIdx.x) / width, column = static_cast<int>(threadIdx.x) % width;
  const std::int64_t channel = std::int64_t{blockIdx.x} * width + column, count = outer * inner;
  const std::int64_t begin = count * blockIdx.y / gridDim.y, end = count * (blockIdx.y + 1) / gridDim.y;
  double sum = 0.0;
  if (channel < channels) {
    stream_elements(
        begin + lane, end, std::int64_t{lanes},
        [&](std::int64_t i) { return read(x, (i / inner * channels + channel) * inner + i % inner); },
        [&](std::int64_t, float value) { sum += value; });
  }
  sums[threadIdx.x] = sum;
  for (int half = lanes / 2; half > 0; half /= 2) {
    __syncthreads();
    if (lane < half) sums[threadIdx.x] += sums[threadIdx.x + half * width];
  }
  if (lane != 0 || channel >= channels) return;
  sum = sums[column];
  if (gridDim.y == 1) {
    write(result, channel, static_cast<float>(sum));
  } else {
    partial[blockIdx.y * channels + channel] = sum;
  }
}

__global__ void finish_channels_kernel(const double* partial, int parts, std::int64_t channels, RealResults sums) {
  for (std::int64_t c = first_element(); c < channels; c += element_step()) {
    double sum = 0.0;
    for (int part = 0; part < parts; ++part) sum += partial[part * channels + c];
    write(sums, c, static_cast<float>(sum));
  }
}

}  // namespace

void sum_channels(std::int64_t outer, std::int64_t channels, std::int64_t inner, Reals x, RealResults sums) {
  if (channels == 0) return;
  const bool side_by_side = inner > 1;
  const std::int64_t blocks = side_by_side ? channels : (channels + 31) / 32;
  const auto go = [&](auto kernel, int threads, std::int64_t parts) {
    const DeviceScratch<double> partial(parts > 1 ? parts * channels : 0);
    launch(kernel, Grid{static_cast<unsigned>(blocks), static_cast<unsigned>(parts)}, static_cast<unsigned>(threads),
           std::size_t{0}, outer, channels, inner, x, partial.data(), sums);
    if (parts > 1) {
      launch_elements(finish_channels_kernel, channels, static_cast<const double*>(partial.data()),
                      static_cast<int>(parts), channels, sums);
    }
  };
  // What one large block adds soon enough is worth no second launch.
  constexpr int large = 1024;
  if (side_by_side && outer * inner <= 64 * large) return go(channel_kernel<true, large>, large, 1);
  // As many parts as fill the GPU, but none so short that its start outweighs it.
  const std::int64_t shortest = side_by_side ? 4096 : 256, wanted = (8 * multiprocessors() + blocks - 1) / blocks;
  const std::int64_t parts = std::max<std::int64_t>(1, std::min({wanted, outer * inner / shortest, std::int64_t{512}}));
  go(side_by_side ? channel_kernel<true, threads_per_block> : channel_kernel<false, threads_per_block>,
     threads_per_block, parts);
}

void finish_sum(const double* partial, int count, double divisor, const double* device_divisor, double* total) {
  launch(finish_sum_kernel, 1u, threads_per_block, partial, count, divisor, device_divisor, total);
}

void sum(const float* values, std::int64_t count, double divisor, double* total) {
  sum_elements(count, Element{values}, divisor, nullptr, total);
}

}  // namespace dip::cuda
