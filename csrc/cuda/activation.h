// The scalar mathematics of the device kernels: activations and their gradients.
#pragma once

#include "core/activation_kind.h"
#include "cuda/device.h"

namespace dip::cuda {

// A comparison with NaN is false, and every branch then keeps x: NaN propagates.
__device__ inline float activate(float x, Activation kind, float alpha) {
  switch (kind) {
    case Activation::none: return x;
    case Activation::step: return x != x ? x : (x > 0.0f ? 1.0f : 0.0f);
    case Activation::sigmoid: {
      const float e = expf(-fabsf(x));
      return x != x ? x : (x > 0.0f ? 1.0f : e) / (1.0f + e);
    }
    case Activation::tanh: return tanhf(x);
    case Activation::relu: return x <= 0.0f ? 0.0f : x;
    case Activation::leaky_relu: return x < 0.0f ? alpha * x : x;
    case Activation::elu: return x < 0.0f ? alpha * expm1f(x) : x;
  }
  return x;
}

__device__ DIP_RARE inline float activate_called(float x, Activation kind, float alpha) {
  return activate(x, kind, alpha);
}

// Of one of many results of a thread, in unrolled code: what is not ReLU is called, so that the code does not hold all
// functions as many times.
__device__ inline float activate_one_of_many(float x, ActivationSpec activation) {
  if (activation.kind == Activation::none) return x;
  if (activation.kind == Activation::relu) return activate(x, Activation::relu, 0.0f);
  return activate_called(x, activation.kind, activation.alpha);
}

// dx from dy and the activation's result y. Where y is NaN so is dx; where an activation is flat dx is 0, whatever dy.
__device__ inline float activation_gradient(float dy, float y, Activation kind, float alpha) {
  switch (kind) {
    case Activation::none: return dy;
    case Activation::step: return y == y ? 0.0f : y;
    case Activation::sigmoid: return dy * (y * (1.0f - y));
    case Activation::tanh: return dy * (1.0f - y * y);
    case Activation::relu: return y > 0.0f ? dy : y == y ? 0.0f : y;
    case Activation::leaky_relu: return y > 0.0f ? dy : y == y ? dy * alpha : y;
    case Activation::elu: return y > 0.0f ? dy : dy * (y + alpha);
  }
  return dy;
}

}  // namespace dip::cuda
