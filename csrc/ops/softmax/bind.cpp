// softmax and log_softmax: arguments are checked here, once, for every backend.
#include "bind/arguments.h"
#include "bind/families.h"
#include "ops/softmax/softmax.h"

namespace dip {
namespace softmax_functions {

Softmax make_softmax(const Arguments& args, const Shape& shape, py::handle dim_, bool logarithm) {
  std::int64_t dim = args.integer(dim_, "dim");
  const auto rank = static_cast<std::int64_t>(shape.size());
  check<IndexError>(rank > 0, args.op(), ": an array of no dimensions has no axis for dim, got ", dim);
  check<IndexError>(dim >= -rank && dim < rank, args.op(), ": dim must be from ", -rank, " to ", rank - 1,
                    " for shape ", shape, ", got ", dim);
  if (dim < 0) dim += rank;
  Softmax p{1, shape[dim], 1, logarithm};
  for (std::int64_t axis = 0; axis < dim; ++axis) p.outer *= shape[axis];
  for (std::int64_t axis = dim + 1; axis < rank; ++axis) p.inner *= shape[axis];
  return p;
}

py::object forward(py::object x_, py::object dim, py::object logarithm_, py::object out) {
  const bool logarithm = is_true(logarithm_);
  const Arguments args(logarithm ? "log_softmax" : "softmax");
  Array x = args.input(x_, "x", "*");
  const Softmax p = make_softmax(args, x.shape(), dim, logarithm);
  Result y = args.output(out, "out", x.shape());
  args.check_apart(y, x, "x");
  if (y.count() > 0) compute(backend::softmax_forward, p, x, y);
  return y.object();
}

py::object backward(py::object dy_, py::object y_, py::object dim, py::object logarithm_, py::object out) {
  const bool logarithm = is_true(logarithm_);
  const Arguments args(logarithm ? "log_softmax_backward" : "softmax_backward");
  Array dy = args.input(dy_, "dy", "*"), y = args.input(y_, "y", "*");
  args.check_shape(dy, "dy", y.shape());
  const Softmax p = make_softmax(args, y.shape(), dim, logarithm);
  Result dx = args.output(out, "out", y.shape());
  args.check_apart(dx, dy, "dy", true);
  args.check_apart(dx, y, "y");
  if (dx.count() > 0) compute(backend::softmax_backward, p, dy, y, dx);
  return dx.object();
}

}  // namespace softmax_functions

void bind_softmax(py::module_& m) {
  using namespace softmax_functions;
  using py::arg;
  m.def("softmax", forward, arg("x"), arg("dim"), arg("logarithm"), arg("out"));
  m.def("softmax_backward", backward, arg("dy"), arg("y"), arg("dim"), arg("logarithm"), arg("out"));
}

}  // namespace dip
