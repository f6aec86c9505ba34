// The fused optimizer steps of a backend: many tensors in one call.
#pragma once

#include "ops/optimizers/params.h"

namespace dip::DIP_BACKEND {

void optimizer_step(const Update& update, const UpdateTensor* tensors, std::int64_t tensor_count);

}  // namespace dip::DIP_BACKEND
