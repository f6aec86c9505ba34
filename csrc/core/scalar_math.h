// The scalar mathematics of the device kernels: activations and their slopes.
#pragma once

#include "core/activation_kind.h"
#include "core/device.h"

namespace dip::cuda {

// A comparison with NaN is false, and every branch then keeps x: NaN propagates.
__device__ inline float activate(float x, Activation kind, float alpha) {
  switch (kind) {
    case Activation::none: return x;
    case Activation::step: return x != x ? x : (x > 0.0f ? 1.0f : 0.0f);
    case Activation::sigmoid: {
      const float e = expf(-fabsf(x));
      return x != x ? x : (x > 0.0f ? 1.0f / (1.0f + e) : e / (1.0f + e));
    }
    case Activation::tanh: return tanhf(x);
    case Activation::relu: return x <= 0.0f ? 0.0f : x;
    case Activation::leaky_relu: return x < 0.0f ? alpha * x : x;
    case Activation::elu: return x < 0.0f ? alpha * expm1f(x) : x;
  }
  return x;
}

// The derivative, from the activation's result y.
__device__ inline float activation_slope(float y, Activation kind, float alpha) {
  switch (kind) {
    case Activation::none: return 1.0f;
    case Activation::step: return 0.0f;
    case Activation::sigmoid: return y * (1.0f - y);
    case Activation::tanh: return 1.0f - y * y;
    case Activation::relu: return y > 0.0f ? 1.0f : 0.0f;
    case Activation::leaky_relu: return y > 0.0f ? 1.0f : alpha;
    case Activation::elu: return y > 0.0f ? 1.0f : y + alpha;
  }
  return 1.0f;
}

}  // namespace dip::cuda
