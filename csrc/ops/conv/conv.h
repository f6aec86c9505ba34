// The convolution operators of a backend. Arguments are checked already; arrays are contiguous.
#pragma once

#include <string>

#include "core/conv2d.h"
#include "core/reals.h"

namespace dip::DIP_BACKEND {

// y = activation(x ⋆ weight + bias); bias may be null.
void conv2d_forward(const Conv2d& p, Reals x, Reals weight, Reals bias, RealResults y);

// dx = Σ_k dy_k convolved with weight_k: the gradient of ⟨dy, conv2d(x, weight)⟩ with respect to x.
void conv2d_backward_data(const Conv2d& p, Reals dy, Reals weight, RealResults dx);

// dweight = the gradient of ⟨dy, conv2d(x, weight)⟩ with respect to weight, summed over the batch.
void conv2d_backward_weight(const Conv2d& p, Reals dy, Reals x, RealResults dweight);

// dbias_k = Σ dy over all images and positions.
void conv2d_backward_bias(const Conv2d& p, Reals dy, RealResults dbias);

// In words, how this backend computes `op`, conv2d or one of its gradients, and why so.
std::string conv2d_choice(const std::string& op, const Conv2d& p);

// Has convolutions go this way where they can, whatever it costs; "auto": the cheapest again. For tests and benchmarks.
void set_conv_way(const std::string& name);

}  // namespace dip::DIP_BACKEND
