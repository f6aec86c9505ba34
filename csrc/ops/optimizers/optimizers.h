// The fused optimizer steps of a backend: many tensors in one call.
#pragma once

#include "ops/optimizers/params.h"

namespace dip {

namespace cpu {
constexpr bool steps_may_be_arrays = false;
}
namespace cuda {
constexpr bool steps_may_be_arrays = true;
}

namespace DIP_BACKEND {

void optimizer_step(const Update& update, const UpdateTensor* tensors, std::int64_t tensor_count);

}  // namespace DIP_BACKEND
}  // namespace dip
