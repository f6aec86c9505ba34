// The convolution of clips, and its gradients, of a backend. Arguments are checked already; arrays are contiguous.
#pragma once

#include <string>

#include "core/conv2d.h"
#include "core/reals.h"

namespace dip::DIP_BACKEND {

// y = activation(x ⋆ weight + bias); bias may be null.
void conv3d_forward(const Conv3d& p, Reals x, Reals weight, Reals bias, RealResults y);

// The gradient of ⟨dy, conv3d(x, weight)⟩ with respect to x.
void conv3d_backward_data(const Conv3d& p, Reals dy, Reals weight, RealResults dx);

// And with respect to weight, summed over the batch.
void conv3d_backward_weight(const Conv3d& p, Reals dy, Reals x, RealResults dweight);

// In words, how this backend computes `op`, conv3d or one of its gradients, and why so.
std::string conv3d_choice(const std::string& op, const Conv3d& p);

}  // namespace dip::DIP_BACKEND
