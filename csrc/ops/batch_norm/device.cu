// Batch normalisation on the GPU. The sums of a channel are taken by several blocks in float64, each its share, and
// added by one thread in their order: the same bits on every run.
#include "cuda/activation.h"
#include "cuda/copy_kernels.h"
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

// Element i of channel c.
__device__ std::int64_t place(const BatchNorm& p, std::int64_t c, std::int64_t i) {
  return (i / p.inner * p.C + c) * p.inner + i % p.inner;
}

// partial = this block's Σ body.first(i) and Σ body.second(i) over its share of channel c.
template <class Body>
__global__ void sums_kernel(BatchNorm p, Split split, Body body, double* partial) {
  const std::int64_t c = blockIdx.x / static_cast<unsigned>(split.blocks);
  const std::int64_t block = blockIdx.x % static_cast<unsigned>(split.blocks);
  const std::int64_t step = static_cast<std::int64_t>(split.blocks) * blockDim.x;
  body.begin(p, c);
  double first = 0.0, second = 0.0;
  for (std::int64_t i = block * blockDim.x + threadIdx.x; i < p.count(); i += step) {
    body.add(place(p, c, i), first, second);
  }
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
  __device__ void add(std::int64_t i, double& first, double& second) const {
    const double d = read(x, i) - shift;
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

__global__ void normalize_kernel(BatchNorm p, std::int64_t count, Reals x, Reals mean, const float* scale, Reals bias,
                                 RealResults y) {
  stream_elements(
      count, [&](std::int64_t i) { return read(x, i); },
      [&](std::int64_t i, float value) {
        const std::int64_t c = i / p.inner % p.C;
        const float shift = bias.data ? read(bias, c) : 0.0f;
        const float result = fmaf(value - read(mean, c), scale[c], shift);
        write(y, i, activate(result, p.activation.kind, p.activation.alpha));
      });
}

// Σ dy and Σ dy·(x − mean).
struct GradientSums {
  Reals dy, x, mean;
  double centre;

  __device__ void begin(const BatchNorm&, std::int64_t c) { centre = read(mean, c); }
  __device__ void add(std::int64_t i, double& first, double& second) const {
    const double d = read(dy, i);
    first += d;
    second += d * (read(x, i) - centre);
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

__global__ void backward_kernel(BatchNorm p, std::int64_t count, Reals dy, Reals x, Reals mean, const Channel* channels,
                                RealResults dx) {
  for (std::int64_t i = first_element(); i < count; i += element_step()) {
    const std::int64_t c = i / p.inner % p.C;
    const Channel k = channels[c];
    write(dx, i, k.scale * ((read(dy, i) - k.offset) - (read(x, i) - read(mean, c)) * k.slope));
  }
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
  const std::int64_t count = p.C * p.count();
  launch_stream(normalize_kernel, count, p, count, x, mean, static_cast<const float*>(scale.data()), bias, y);
}

void batch_norm_with_stats(const BatchNorm& p, Reals x, float* running_mean, float* running_var, Reals weight,
                           Reals bias, RealResults y, RealResults mean, RealResults var) {
  if (p.count() == 0) {
    zero(p, mean);
    return zero(p, var);
  }
  const Split split(p);
  const DeviceScratch<double> partial(2 * p.C * split.blocks);
  launch(sums_kernel<Moments>, blocks_of(p, split), threads_per_block, p, split, Moments{x, 0.0}, partial.data());
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
  launch(sums_kernel<GradientSums>, blocks_of(p, split), threads_per_block, p, split, GradientSums{dy, x, mean, 0.0},
         partial.data());
  launch_elements(channels_kernel, p.C, p, split, static_cast<const double*>(partial.data()), var, weight, dweight,
                  dbias, channels.data());
  const std::int64_t count = p.C * p.count();
  launch_elements(backward_kernel, count, p, count, dy, x, mean, static_cast<const Channel*>(channels.data()), dx);
}

}  // namespace dip::cuda
