// Batch normalisation on the GPU. The sums of a channel are taken by several blocks in float64, each its share, and
// added by one thread in their order: the same bits on every run.
#include <algorithm>
#include <initializer_list>

#include "cuda/activation.h"
#include "cuda/copy_kernels.h"
#include "cuda/divisor.h"
#include "cuda/half.h"
#include "cuda/sum.h"
#include "ops/batch_norm/batch_norm.h"

namespace dip::cuda {
namespace {

// Two sums of a channel, by so many blocks.
struct Split {
  int blocks;

  explicit Split(const BatchNorm& p) {
    constexpr std::int64_t share = 4096, most = 1024;  // numbers a block should have at least; blocks in all
    const std::int64_t wanted = (p.count() + share - 1) / share, room = most / p.C + 1;
    blocks = static_cast<int>(wanted < 1 ? 1 : wanted < room ? wanted : room);
  }
};

// partial = this block's Σ body.first(i) and Σ body.second(i) over its share of channel c.
template <class Body>
__global__ void sums_kernel(BatchNorm p, Split split, IndexDivisor by_inner, Body body, double* partial) {
  const std::int64_t c = blockIdx.x / static_cast<unsigned>(split.blocks);
  const std::int64_t block = blockIdx.x % static_cast<unsigned>(split.blocks);
  const std::int64_t step = static_cast<std::int64_t>(split.blocks) * blockDim.x;
  body.begin(p, c);
  double first = 0.0, second = 0.0;
  const auto read_number = [&](std::int64_t image) {
    const std::int64_t rest = by_inner.take_remainder(image);
    return body.read_number((image * p.C + c) * p.inner + rest);
  };
  stream_elements(block * blockDim.x + threadIdx.x, p.count(), step, read_number,
                  [&](std::int64_t, auto taken) { body.add(taken, first, second); });
  first = block_sum(first);
  second = block_sum(second);
  if (threadIdx.x == 0) {
    partial[2 * blockIdx.x] = first;
    partial[2 * blockIdx.x + 1] = second;
  }
}

__device__ void total(const double* partial, Split split, std::int64_t c, double& first, double& second) {
  first = second = 0.0;
  for (std::int64_t i = c * split.blocks; i < (c + 1) * split.blocks; ++i) {
    first += partial[2 * i];
    second += partial[2 * i + 1];
  }
}

// Σ(x − shift) and Σ(x − shift)², the shift being the channel's first number.
struct Moments {
  Reals x;
  double shift;

  __device__ void begin(const BatchNorm& p, std::int64_t c) { shift = read(x, c * p.inner); }
  __device__ float read_number(std::int64_t i) const { return read(x, i); }
  __device__ void add(float number, double& first, double& second) const {
    const double d = number - shift;
    first += d;
    second += d * d;
  }
};

__global__ void statistics_kernel(BatchNorm p, Split split, const double* partial, Reals x, float* running_mean,
                                  float* running_var, float* mean, float* var) {
  for (std::int64_t c = first_element(); c < p.C; c += element_step()) {
    double sum, squares;
    total(partial, split, c, sum, squares);
    const double count = static_cast<double>(p.count());
    const double exact = read(x, c * p.inner) + sum / count;
    squares -= sum * (sum / count);
    if (squares < 0.0) squares = 0.0;
    mean[c] = static_cast<float>(exact);
    var[c] = static_cast<float>(squares / count);
    if (!running_mean) continue;
    running_mean[c] = static_cast<float>(running_mean[c] + p.momentum * (exact - running_mean[c]));
    running_var[c] = static_cast<float>(running_var[c] + p.momentum * (squares / (count - 1) - running_var[c]));
  }
}

__device__ double inverse_deviation(const BatchNorm& p, float var) {
  return 1.0 / sqrt(static_cast<double>(var) + p.eps);
}

// scale = weight/√(var + eps) of every channel.
__global__ void scales_kernel(BatchNorm p, Reals var, Reals weight, float* scale) {
  for (std::int64_t c = first_element(); c < p.C; c += element_step()) {
    const double w = weight.data ? read(weight, c) : 1.0;
    scale[c] = static_cast<float>(w * inverse_deviation(p, read(var, c)));
  }
}

// Of `piece` numbers of a channel at a time, which lie side by side; `inner` and `count` are counted in them.
struct Pieces {
  std::int64_t count;
  IndexDivisor by_inner, by_channels;

  Pieces(const BatchNorm& p, std::int64_t piece)
      : count(p.C * p.count() / piece), by_inner(p.inner / piece, count), by_channels(p.C, count) {}

  __device__ std::int64_t channel_of(std::int64_t i) const {
    by_inner.take_remainder(i);
    return by_channels.take_remainder(i);
  }
};

template <int piece>
__device__ Four read_piece(Reals x, std::int64_t i) {
  if constexpr (piece == 4) return read_four(x, i);
  Four one;
  one.at[0] = read(x, i);
  return one;
}

template <int piece>
__device__ void write_piece(RealResults y, std::int64_t i, const Four& numbers) {
  if constexpr (piece == 4) {
    write_four(y, i, numbers);
  } else {
    write(y, i, numbers.at[0]);
  }
}

template <int piece>
__global__ void normalize_kernel(BatchNorm p, Pieces pieces, Reals x, Reals mean, const float* scale, Reals bias,
                                 RealResults y) {
  stream_elements(
      pieces.count, [&](std::int64_t i) { return read_piece<piece>(x, i); },
      [&](std::int64_t i, Four numbers) {
        const std::int64_t c = pieces.channel_of(i);
        const float shift = bias.data ? read(bias, c) : 0.0f, centre = read(mean, c), factor = scale[c];
#pragma unroll
        for (int k = 0; k < piece; ++k) {
          const float result = fmaf(numbers.at[k] - centre, factor, shift);
          numbers.at[k] = activate(result, p.activation.kind, p.activation.alpha);
        }
        write_piece<piece>(y, i, numbers);
      });
}

bool has_whole_pieces(const BatchNorm& p, std::initializer_list<const void*> arrays, DType dtype) {
  return p.inner % 4 == 0 &&
         std::all_of(arrays.begin(), arrays.end(), [&](const void* each) { return moves_fours(each, dtype); });
}

// Σ dy and Σ dy·(x − mean).
struct GradientSums {
  Reals dy, x, mean;
  double centre;

  __device__ void begin(const BatchNorm&, std::int64_t c) { centre = read(mean, c); }
  struct Pair {
    float dy, x;
  };
  __device__ Pair read_number(std::int64_t i) const { return {read(dy, i), read(x, i)}; }
  __device__ void add(Pair numbers, double& first, double& second) const {
    first += numbers.dy;
    second += numbers.dy * (numbers.x - centre);
  }
};

// What dx of a channel is computed from: dx = scale·((dy − offset) − (x − mean)·slope).
struct Channel {
  float scale, offset, slope;
};

__global__ void channels_kernel(BatchNorm p, Split split, const double* partial, Reals var, Reals weight,
                                RealResults dweight, RealResults dbias, Channel* channels) {
  for (std::int64_t c = first_element(); c < p.C; c += element_step()) {
    double sum, products;
    total(partial, split, c, sum, products);
    const double inverse = inverse_deviation(p, read(var, c)), count = static_cast<double>(p.count());
    write(dbias, c, static_cast<float>(sum));
    write(dweight, c, static_cast<float>(products * inverse));
    channels[c].scale = static_cast<float>((weight.data ? read(weight, c) : 1.0) * inverse);
    channels[c].offset = p.training ? static_cast<float>(sum / count) : 0.0f;
    channels[c].slope = p.training ? static_cast<float>(products * inverse * inverse / count) : 0.0f;
  }
}

template <int piece>
__global__ void backward_kernel(Pieces pieces, Reals dy, Reals x, Reals mean, const Channel* channels, RealResults dx) {
  struct Taken {
    Four dy, x;
  };
  stream_elements(
      pieces.count, [&](std::int64_t i) { return Taken{read_piece<piece>(dy, i), read_piece<piece>(x, i)}; },
      [&](std::int64_t i, const Taken& taken) {
        const std::int64_t c = pieces.channel_of(i);
        const Channel of = channels[c];
        const float centre = read(mean, c);
        Four result;
#pragma unroll
        for (int k = 0; k < piece; ++k) {
          result.at[k] = of.scale * ((taken.dy.at[k] - of.offset) - (taken.x.at[k] - centre) * of.slope);
        }
        write_piece<piece>(dx, i, result);
      });
}

void zero(const BatchNorm& p, RealResults channels) {
  fill_zero(channels.data, static_cast<std::size_t>(p.C * size_of(channels.dtype)));
}

unsigned blocks_of(const BatchNorm& p, Split split) {
  return static_cast<unsigned>(p.C * split.blocks);
}

}  // namespace

void batch_norm(const BatchNorm& p, Reals x, Reals mean, Reals var, Reals weight, Reals bias, RealResults y) {
  const DeviceScratch<float> scale(p.C);
  launch_elements(scales_kernel, p.C, p, var, weight, scale.data());
  const bool whole = has_whole_pieces(p, {x.data, y.data}, x.dtype);
  const Pieces pieces(p, whole ? 4 : 1);
  launch_stream(whole ? normalize_kernel<4> : normalize_kernel<1>, pieces.count, p, pieces, x, mean,
                static_cast<const float*>(scale.data()), bias, y);
}

void batch_norm_with_stats(const BatchNorm& p, Reals x, float* running_mean, float* running_var, Reals weight,
                           Reals bias, RealResults y, RealResults mean, RealResults var) {
  if (p.count() == 0) {
    zero(p, mean);
    return zero(p, var);
  }
  const Split split(p);
  const DeviceScratch<double> partial(2 * p.C * split.blocks);
  launch(sums_kernel<Moments>, blocks_of(p, split), threads_per_block, p, split, IndexDivisor(p.inner, p.count()),
         Moments{x, 0.0}, partial.data());
  in_float32(mean, p.C, [&](float* wide_mean) {
    in_float32(var, p.C, [&](float* wide_var) {
      launch_elements(statistics_kernel, p.C, p, split, static_cast<const double*>(partial.data()), x, running_mean,
                      running_var, wide_mean, wide_var);
      batch_norm(p, x, wide_mean, wide_var, weight, bias, y);
    });
  });
}

void batch_norm_backward(const BatchNorm& p, Reals dy, Reals x, Reals mean, Reals var, Reals weight, RealResults dx,
                         RealResults dweight, RealResults dbias) {
  if (p.count() == 0) {
    zero(p, dweight);
    return zero(p, dbias);
  }
  const Split split(p);
  const DeviceScratch<double> partial(2 * p.C * split.blocks);
  const DeviceScratch<Channel> channels(p.C);
  launch(sums_kernel<GradientSums>, blocks_of(p, split), threads_per_block, p, split, IndexDivisor(p.inner, p.count()),
         GradientSums{dy, x, mean, 0.0}, partial.data());
  launch_elements(channels_kernel, p.C, p, split, static_cast<const double*>(partial.data()), var, weight, dweight,
                  dbias, channels.data());
  const bool whole = has_whole_pieces(p, {dy.data, x.data, dx.data}, x.dtype);
  const Pieces pieces(p, whole ? 4 : 1);
  launch_stream(whole ? backward_kernel<4> : backward_kernel<1>, pieces.count, pieces, dy, x, mean,
                static_cast<const Channel*>(channels.data()), dx);
}

}  // namespace dip::cuda
