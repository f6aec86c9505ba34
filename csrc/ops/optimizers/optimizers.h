// The fused optimizer steps of a backend: many tensors in one call.
#pragma once

#include "core/reals.h"
#include "ops/optimizers/params.h"

namespace dip {

namespace cpu {
constexpr bool steps_may_be_arrays = false;
}
namespace cuda {
constexpr bool steps_may_be_arrays = true;
}

namespace DIP_BACKEND {

// The tensors' gradients are `gradients`.
void optimizer_step(const Update& update, const UpdateTensor* tensors, const Reals* gradients,
                    std::int64_t tensor_count);

}  // namespace DIP_BACKEND
}  // namespace dip
