// Warping of a backend.
#pragma once

#include "core/reals.h"
#include "ops/warp/params.h"

namespace dip::DIP_BACKEND {

// What is outside x is 0.
void warp(const Warp& p, Reals x, Reals flow, RealResults y);
void warp_backward_data(const Warp& p, Reals dy, Reals flow, RealResults dx);
void warp_backward_flow(const Warp& p, Reals dy, Reals x, Reals flow, RealResults dflow);

// The flow (N, 2, height, width) of matrices (N, 2, 3), and backwards.
void affine_flow(const AffineFlow& p, Reals matrices, RealResults flow);
void affine_flow_backward(const AffineFlow& p, Reals dflow, RealResults dmatrices);

}  // namespace dip::DIP_BACKEND
