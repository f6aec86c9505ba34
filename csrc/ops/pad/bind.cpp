// Padding and cropping: arguments are checked here, once, for every backend.
#include "bind/arguments.h"
#include "bind/families.h"
#include "core/geometry.h"
#include "ops/pad/pad.h"

namespace dip {
namespace pad_functions {

// Backward the padding is cropped off again, and what was cropped off is zero.
py::object pad(py::object backward_, py::object x_, py::object padding_, py::object value, py::object out) {
  const bool backward = is_true(backward_);
  const Arguments args(backward ? "pad2d_backward" : "pad2d");
  const char* name = backward ? "dy" : "x";
  const Padding padding = args.padding<2>(padding_, "padding");
  Array x = args.input(x_, name, "NCHW");
  Shape shape = x.shape();
  constexpr std::int64_t largest = std::int64_t{1} << 40;
  const std::int64_t sign = backward ? -1 : 1;
  for (std::size_t axis : {0, 1}) {
    const Pair sides = padding[axis];
    check(sides[0] > -largest && sides[0] < largest && sides[1] > -largest && sides[1] < largest, args.op(),
          ": padding is too large, got (", sides[0], ", ", sides[1], ")");
    std::int64_t& extent = shape[2 + axis];
    extent += sign * (sides[0] + sides[1]);
    check(extent >= 0, args.op(), ": padding (", sides[0], ", ", sides[1], ") leaves less than nothing of ", name,
          "'s ", axis ? "width " : "height ", x.extent(2 + axis));
  }
  const backend::Pad2d p{x.extent(2),
                         x.extent(3),
                         shape[2],
                         shape[3],
                         sign * padding[0][0],
                         sign * padding[1][0],
                         static_cast<float>(args.real(value, "value"))};
  Result y = args.output(out, "out", shape);
  args.check_apart(y, x, name);
  if (y.count() > 0) compute(backend::pad2d, p, x.extent(0) * x.extent(1), x, y);
  return y.object();
}

}  // namespace pad_functions

void bind_pad(py::module_& m) {
  using namespace pad_functions;
  using py::arg;
  m.def("pad2d", pad, arg("backward"), arg("x"), arg("padding"), arg("value"), arg("out"));
}

}  // namespace dip
