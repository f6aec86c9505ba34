// The checked geometry of a call of a convolution.
#pragma once

#include <string>

#include "core/arguments.h"
#include "core/geometry.h"
#include "ops/conv/params.h"

namespace dip {

struct ConvCall {
  Conv2d p;
  Shape y_shape;
};

// From the shapes of x and weight; ValueError where they do not fit together.
ConvCall make_conv_call(const Arguments& args, const Shape& x, const Shape& weight, Pair stride, const Padding& padding,
                        Pair dilation, std::int64_t groups, const std::string& rounding, const std::string& precision);

}  // namespace dip
