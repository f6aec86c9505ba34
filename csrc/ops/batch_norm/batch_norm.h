// Batch normalisation of a backend: y = activation((x − mean)/√(var + eps)·weight + bias) for every channel. weight
// and bias may be null: ones and zeros.
#pragma once

#include "core/reals.h"
#include "ops/batch_norm/params.h"

namespace dip::DIP_BACKEND {

void batch_norm(const BatchNorm& p, Reals x, Reals mean, Reals var, Reals weight, Reals bias, RealResults y);

// With the mean and the (biased) variance of the batch itself, which are results too. Where running averages are given
// they take in this batch's, the variance without bias.
void batch_norm_with_stats(const BatchNorm& p, Reals x, float* running_mean, float* running_var, Reals weight,
                           Reals bias, RealResults y, RealResults mean, RealResults var);

void batch_norm_backward(const BatchNorm& p, Reals dy, Reals x, Reals mean, Reals var, Reals weight, RealResults dx,
                         RealResults dweight, RealResults dbias);

}  // namespace dip::DIP_BACKEND
