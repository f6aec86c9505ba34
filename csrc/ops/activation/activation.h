// The activation operators of a backend.
#pragma once

#include <cstdint>

#include "core/activation_kind.h"
#include "core/reals.h"

namespace dip::DIP_BACKEND {

void activation_forward(ActivationSpec activation, std::int64_t count, Reals x, RealResults y);

// dx = dy · f'(x), with f' computed from the result y = f(x).
void activation_backward(ActivationSpec activation, std::int64_t count, Reals dy, Reals y, RealResults dx);

// x (N, C·pieces, inner) → y (N, C, inner): the largest of `pieces` neighbouring channels, and which one it was.
void maxout_forward(std::int64_t channels, std::int64_t pieces, std::int64_t inner, Reals x, RealResults y,
                    std::int32_t* indices);
void maxout_backward(std::int64_t channels, std::int64_t pieces, std::int64_t inner, Reals dy,
                     const std::int32_t* indices, RealResults dx);

}  // namespace dip::DIP_BACKEND
