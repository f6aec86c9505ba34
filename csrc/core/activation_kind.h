// The activations that can be fused into a convolution or a linear layer. Plain data: kernels include it.
#pragma once

namespace dip {

enum class Activation { none, step, sigmoid, tanh, relu, leaky_relu, elu };

struct ActivationSpec {
  Activation kind = Activation::none;
  float alpha = 0.0f;  // slope of leaky ReLU below zero, or ELU's α; unused by the others
};

}  // namespace dip
