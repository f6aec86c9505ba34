// The gradient of the data of a first layer on the GPU: of images of so few channels that the rows of a tile of the
// matrix product would stay empty.
#pragma once

#include "core/conv2d.h"
#include "core/reals.h"

namespace dip::cuda {

bool has_few_inputs(const Conv2d& p);

void conv2d_backward_data_few_inputs(const Conv2d& p, Reals dy, Reals weight, RealResults dx);

}  // namespace dip::cuda
