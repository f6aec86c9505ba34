// Transposed convolution, a convolution's gradient of the data as an operator of its own: its gradients are the
// convolution and the convolution's gradient of the weights.
#pragma once

#include "core/conv2d.h"
#include "core/reals.h"

namespace dip::DIP_BACKEND {

// y = activation(conv2d_backward_data(p, x, weight) + bias), where p is the convolution from y's channels to x's; its
// activation is that of y. bias may be null.
void conv_transpose2d(const Conv2d& p, Reals x, Reals weight, Reals bias, RealResults y);

}  // namespace dip::DIP_BACKEND
