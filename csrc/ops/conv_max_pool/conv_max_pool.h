// Convolution followed by max pooling over windows without overlap and padding: one kernel where a backend has one that
// is cheaper than two.
#pragma once

#include "core/conv2d.h"
#include "core/indices.h"
#include "core/reals.h"

namespace dip::DIP_BACKEND {

// y and indices of max pooling activation(x ⋆ weight + bias); bias may be null.
void conv2d_max_pool2d_forward(const Conv2d& p, const Window2d& pool, Reals x, Reals weight, Reals bias, RealResults y,
                               std::int32_t* indices);

// The gradients from dy, after the activation; dx may be null. IndexError with what `describe` says for an index
// outside its plane; one that is in another window of it is as good as any.
void conv2d_max_pool2d_backward(const Conv2d& p, const Window2d& pool, Reals dy, const std::int32_t* indices, Reals x,
                                Reals weight, RealResults dx, RealResults dweight, RealResults dbias,
                                const Describe& describe);

}  // namespace dip::DIP_BACKEND
