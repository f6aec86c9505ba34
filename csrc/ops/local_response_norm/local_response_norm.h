// Local response normalisation of a backend.
#pragma once

#include "core/reals.h"
#include "ops/local_response_norm/params.h"

namespace dip::DIP_BACKEND {

void local_response_norm(const LocalResponseNorm& p, Reals x, RealResults y);

// dx_c = dy_c·s_c^−β − 2·α/size·β·x_c·Σ dy·x·s^(−β − 1) over the channels in whose windows c lies.
void local_response_norm_backward(const LocalResponseNorm& p, Reals dy, Reals x, RealResults dx);

}  // namespace dip::DIP_BACKEND
