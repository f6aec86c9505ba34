// On the GPU few channels are pooled where they are convolved; else the two run one after the other, because one kernel
// would have to keep whole windows in one thread's tile of the product. Both in float32, so that 16 bits are rounded
// once.
#include "cuda/copy_kernels.h"
#include "cuda/device.h"
#include "cuda/sum.h"
#include "ops/conv/conv.h"
#include "ops/conv/cuda/few_channels.h"
#include "ops/conv_max_pool/conv_max_pool.h"
#include "ops/max_pool/max_pool.h"
#include "ops/unpool/unpool.h"

namespace dip::cuda {

void conv2d_max_pool2d_forward(const Conv2d& p, const Window2d& pool, Reals x, Reals weight, Reals bias, RealResults y,
                               std::int32_t* indices) {
  const Widened wide_x(x, p.x_count()), wide_weight(weight, p.weight_count()), wide_bias(bias, p.K);
  in_float32(y, p.N * p.K * pool.h.output * pool.w.output, [&](float* pooled) {
    if (pools_few_channels(p, pool)) {
      return conv2d_max_pool2d_forward_few(p, wide_x, wide_weight, wide_bias, pooled, indices);
    }
    const DeviceScratch<float> large(p.y_count());
    conv2d_forward(p, wide_x.data(), wide_weight.data(), wide_bias.data(), large.data());
    max_pool_forward(pool, p.N * p.K, large.data(), pooled, indices);
  });
}

void conv2d_max_pool2d_backward(const Conv2d& p, const Window2d& pool, Reals dy, const std::int32_t* indices, Reals x,
                                Reals weight, RealResults dx, RealResults dweight, RealResults dbias,
                                const Describe& describe) {
  const std::int64_t planes = p.N * p.K;
  const Pair windows{pool.h.output, pool.w.output}, plane{pool.h.input, pool.w.input};
  const Widened wide_dy(dy, planes * windows[0] * windows[1]), wide_x(x, p.x_count()),
      wide_weight(weight, p.weight_count());
  {
    const Beside beside;
    sum_channels(p.N, p.K, windows[0] * windows[1], dy, dbias);  // every window gives its gradient to one position
  }
  const DeviceScratch<float> large(p.y_count());
  if (planes > 0) scatter_planes(planes, windows, plane, wide_dy.data(), indices, large.data(), describe);
  {
    const Beside beside;
    in_float32(dweight, p.weight_count(),
               [&](float* to) { conv2d_backward_weight(p, large.data(), wide_x.data(), to); });
  }
  if (!dx.data || p.x_count() == 0) return;
  in_float32(dx, p.x_count(), [&](float* to) { conv2d_backward_data(p, large.data(), wide_weight.data(), to); });
}

}  // namespace dip::cuda
