#include "core/sum.h"

#include <algorithm>

#include "cuda/divisor.h"
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

// The numbers of a channel lie `inner` side by side, for each of several images.
struct ChannelNumbers {
  std::int64_t channels, inner, count;  // count: of a channel
  IndexDivisor by_inner;

  // Where the i-th number of channel c is.
  __device__ std::int64_t place(std::int64_t i, std::int64_t c) const {
    const std::int64_t rest = by_inner.take_remainder(i);
    return (i * channels + c) * inner + rest;
  }
};

// A block of so many threads adds part blockIdx.y of the numbers of channel blockIdx.x: partial[part][channel]. Where
// there is one part it is the result.
template <int threads>
__global__ void channel_kernel(ChannelNumbers p, Reals x, double* partial, RealResults result) {
  const std::int64_t channel = blockIdx.x;
  const std::int64_t begin = p.count * blockIdx.y / gridDim.y, end = p.count * (blockIdx.y + 1) / gridDim.y;
  double sum = 0.0;
  stream_elements(
      begin + threadIdx.x, end, std::int64_t{threads}, [&](std::int64_t i) { return read(x, p.place(i, channel)); },
      [&](std::int64_t, float value) { sum += value; });
  sum = block_sum<threads>(sum);
  if (threadIdx.x != 0) return;
  if (gridDim.y == 1) {
    write(result, channel, static_cast<float>(sum));
  } else {
    partial[blockIdx.y * p.channels + channel] = sum;
  }
}

// The same for 32 channels whose numbers lie side by side, `inner` being 1: their lanes as a tree.
constexpr int column_threads = 1024, columns_a_block = 32;

__global__ void column_kernel(std::int64_t rows, std::int64_t columns, Reals x, double* partial, RealResults result) {
  constexpr int lanes = column_threads / columns_a_block;
  DIP_SHARED_ARRAY(double, sums, column_threads);
  const int lane = static_cast<int>(threadIdx.x) / columns_a_block;
  const std::int64_t column = std::int64_t{blockIdx.x} * columns_a_block + threadIdx.x % columns_a_block;
  const std::int64_t begin = rows * blockIdx.y / gridDim.y, end = rows * (blockIdx.y + 1) / gridDim.y;
  double sum = 0.0;
  if (column < columns) {
    stream_elements(
        begin + lane, end, std::int64_t{lanes}, [&](std::int64_t i) { return read(x, i * columns + column); },
        [&](std::int64_t, float value) { sum += value; });
  }
  sums[threadIdx.x] = sum;
  for (int half = lanes / 2; half > 0; half /= 2) {
    __syncthreads();
    if (lane < half) sums[threadIdx.x] += sums[threadIdx.x + half * columns_a_block];
  }
  if (lane != 0 || column >= columns) return;
  sum = sums[threadIdx.x];
  if (gridDim.y == 1) {
    write(result, column, static_cast<float>(sum));
  } else {
    partial[blockIdx.y * columns + column] = sum;
  }
}

// A block adds the parts of one channel.
constexpr int finishing_threads = 64;

__global__ void finish_channels_kernel(const double* partial, int parts, std::int64_t channels, RealResults sums) {
  double sum = 0.0;
  for (int part = static_cast<int>(threadIdx.x); part < parts; part += finishing_threads) {
    sum += partial[part * channels + blockIdx.x];
  }
  sum = block_sum<finishing_threads>(sum);
  if (threadIdx.x == 0) write(sums, blockIdx.x, static_cast<float>(sum));
}

}  // namespace

void sum_channels(std::int64_t outer, std::int64_t channels, std::int64_t inner, Reals x, RealResults sums) {
  if (channels == 0) return;
  const std::int64_t count = outer * inner;
  const bool are_columns = inner <= 1;
  const std::int64_t blocks = are_columns ? (channels + columns_a_block - 1) / columns_a_block : channels;
  // As many parts as fill the GPU, but none so short that its start outweighs it, or a second launch.
  constexpr int large = 1024;
  const std::int64_t shortest = are_columns ? 1024 : 8 * threads_per_block;
  const std::int64_t wanted = (8 * multiprocessors() + blocks - 1) / blocks;
  const bool is_short = !are_columns && count <= 8 * large;
  const std::int64_t parts =
      is_short ? 1 : std::max<std::int64_t>(1, std::min({wanted, count / shortest, std::int64_t{512}}));
  const DeviceScratch<double> partial(parts > 1 ? parts * channels : 0);
  const Grid grid{static_cast<unsigned>(blocks), static_cast<unsigned>(parts)};
  if (are_columns) {
    launch(column_kernel, grid, static_cast<unsigned>(column_threads), std::size_t{0}, count, channels, x,
           partial.data(), sums);
  } else {
    const ChannelNumbers numbers{channels, inner, count, IndexDivisor(inner, count)};
    const int threads = parts == 1 ? large : threads_per_block;
    launch(parts == 1 ? channel_kernel<large> : channel_kernel<threads_per_block>, grid, static_cast<unsigned>(threads),
           std::size_t{0}, numbers, x, partial.data(), sums);
  }
  if (parts > 1) {
    launch(finish_channels_kernel, static_cast<unsigned>(channels), static_cast<unsigned>(finishing_threads),
           static_cast<const double*>(partial.data()), static_cast<int>(parts), channels, sums);
  }
}

void finish_sum(const double* partial, int count, double divisor, const double* device_divisor, double* total) {
  launch(finish_sum_kernel, 1u, threads_per_block, partial, count, divisor, device_divisor, total);
}

void sum(const float* values, std::int64_t count, double divisor, double* total) {
  sum_elements(count, Element{values}, divisor, nullptr, total);
}

}  // namespace dip::cuda
