// The checked geometry of a call of a convolution.
#pragma once

#include <string>

#include "bind/arguments.h"
#include "core/conv2d.h"
#include "core/geometry.h"

namespace dip {

template <class Geometry>
struct CallOf {
  Geometry p;
  Shape y_shape;
};
using ConvCall = CallOf<Conv2d>;
using Conv3dCall = CallOf<Conv3d>;

// The arguments of a convolution that are neither arrays nor in the shapes of these, as Python gives them.
struct ConvOptions {
  py::object stride, padding, dilation, groups, rounding, precision;
};

// From the shapes of x and weight; TypeError or ValueError where they and the options do not fit together.
ConvCall make_conv_call(const Arguments& args, const Shape& x, const Shape& weight, const ConvOptions& options);
Conv3dCall make_conv3d_call(const Arguments& args, const Shape& x, const Shape& weight, const ConvOptions& options);

}  // namespace dip
