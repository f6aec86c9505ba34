// Batch normalisation over (N, C, inner), as plain data.
#pragma once

#include <cstdint>

#include "core/activation_kind.h"
#include "core/host_device.h"

namespace dip {

struct BatchNorm {
  std::int64_t N = 0, C = 0, inner = 0;  // inner: the positions of a channel of one example
  double eps = 1e-5;
  double momentum = 0.1;  // the weight of this batch in the running averages
  bool training = true;   // of the gradient: mean and variance were those of the batch, and so depend on x
  ActivationSpec activation;

  DIP_HOST_DEVICE std::int64_t count() const { return N * inner; }  // values of a channel
};

}  // namespace dip
