// Bilinear upsampling: arguments are checked here, once, for every backend.
#include "bind/arguments.h"
#include "bind/families.h"
#include "core/geometry.h"
#include "ops/upsample_bilinear/upsample_bilinear.h"

namespace dip {
namespace upsample_bilinear_functions {

// From planes of x's size to planes of `size`, or backward from planes of dy's size to planes of `size`.
py::object interpolate(py::object backward_, py::object x_, py::object size_, py::object align_corners,
                       py::object out) {
  const bool backward = is_true(backward_);
  const Arguments args(backward ? "upsample_bilinear2d_backward" : "upsample_bilinear2d");
  const char* name = backward ? "dy" : "x";
  const Pair size = args.sizes<2>(size_, "size");
  Array x = args.input(x_, name, "NCHW");
  const Pair given = {x.extent(2), x.extent(3)};
  constexpr std::int64_t largest = (std::int64_t{1} << 30) - 1;  // products of two of them stay in 64 bits
  for (int axis = 0; axis < 2; ++axis) {
    check(given[axis] >= 1, args.op(), ": ", name, " must have at least one row and column, got shape ", x.shape());
    check(size[axis] >= 1 && size[axis] <= largest && given[axis] <= largest, args.op(), ": ",
          backward ? "input_size" : "the result's size", " must be from 1 to ", largest, " along each axis, got (",
          size[0], ", ", size[1], ")");
  }
  const Pair small = backward ? size : given, large = backward ? given : size;
  const Bilinear p{small[0], small[1], large[0], large[1], args.flag(align_corners, "align_corners")};
  Result y = args.output(out, "out", {x.extent(0), x.extent(1), size[0], size[1]});
  args.check_apart(y, x, name);
  const std::int64_t planes = x.extent(0) * x.extent(1);
  if (y.count() > 0) {
    compute(backward ? backend::upsample_bilinear2d_backward : backend::upsample_bilinear2d, p, planes, x, y);
  }
  return y.object();
}

}  // namespace upsample_bilinear_functions

void bind_upsample_bilinear(py::module_& m) {
  using namespace upsample_bilinear_functions;
  using py::arg;
  m.def("upsample_bilinear2d", interpolate, arg("backward"), arg("x"), arg("size"), arg("align_corners"), arg("out"));
}

}  // namespace dip
