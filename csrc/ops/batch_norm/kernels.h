// What the batch normalisation launchers in cpu.cpp ask of the vector kernels, for one plane: a channel of an example.
#pragma once

#include "core/activation_kind.h"
#include "cpu/kernel_table.h"

namespace dip::cpu {

// Of a plane's values x: a shift near their mean, and with it sums that lose nothing to a large mean.
struct Moments {
  float shift, sum, squares;  // Σ(x − shift), Σ(x − shift)²
};

struct BatchNormKernels {
  Moments (*moments)(const float* x, std::int64_t count);
  // y = activation((x − mean)·scale + bias)
  void (*normalize)(const float* x, std::int64_t count, float mean, float scale, float bias,
                    const ActivationSpec& activation, float* y);
  // Σ dy and Σ dy·(x − mean)
  void (*backward_sums)(const float* dy, const float* x, std::int64_t count, float mean, float (&sums)[2]);
  // dx = scale·((dy − offset) − (x − mean)·slope)
  void (*backward)(const float* dy, const float* x, std::int64_t count, float mean, float scale, float offset,
                   float slope, float* dx);
};

}  // namespace dip::cpu

DIP_KERNEL_TABLE(BatchNormKernels, batch_norm_kernels)
