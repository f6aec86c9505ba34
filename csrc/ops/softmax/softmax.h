// Softmax and log-softmax of a backend, along the middle axis of (outer, classes, inner).
#pragma once

#include "core/reals.h"
#include "ops/softmax/params.h"

namespace dip::DIP_BACKEND {

void softmax_forward(const Softmax& p, Reals x, RealResults y);

// dx from dy and the result y: y·(dy − Σ dy·y), or dy − e^y·Σ dy for the logarithm.
void softmax_backward(const Softmax& p, Reals dy, Reals y, RealResults dx);

}  // namespace dip::DIP_BACKEND
