// Activations, maxout and their gradients: arguments are checked here, once, for every backend.
#include "bind/activation.h"
#include "bind/arguments.h"
#include "bind/families.h"
#include "core/indices.h"
#include "ops/activation/activation.h"

namespace dip {
namespace activation_functions {

py::object forward(py::object x_, py::object name_, py::object alpha, py::object out) {
  const std::string name = string_of(name_);
  const Arguments args(name.c_str());
  const ActivationSpec activation = make_activation(args, name_, alpha);
  Array x = args.input(x_, "x", "*");
  Result y = args.output(out, "out", x.shape());
  args.check_apart(y, x, "x", true);
  compute(backend::activation_forward, activation, x.count(), x, y);
  return y.object();
}

py::object backward(py::object dy_, py::object y_, py::object name, py::object alpha, py::object out) {
  const std::string op = string_of(name) + "_backward";
  const Arguments args(op.c_str());
  const ActivationSpec activation = make_activation(args, name, alpha);
  Array dy = args.input(dy_, "dy", "*"), y = args.input(y_, "y", "*");
  args.check_shape(dy, "dy", y.shape());
  Result dx = args.output(out, "out", y.shape());
  args.check_apart(dx, dy, "dy", true);
  args.check_apart(dx, y, "y", true);
  compute(backend::activation_backward, activation, y.count(), dy, y, dx);
  return dx.object();
}

// The axes after the first two, taken together; at least 1 where none is empty.
std::int64_t inner_of(const Shape& shape) {
  std::int64_t inner = 1;
  for (std::size_t axis = 2; axis < shape.size(); ++axis) inner *= shape[axis];
  return inner;
}

void check_pieces(const Arguments& args, std::int64_t pieces) {
  check(pieces >= 1 && pieces <= INT32_MAX, args.op(), ": pieces must be from 1 to 2147483647, got ", pieces);
}

py::object maxout(py::object x_, py::object pieces_, py::object out) {
  const Arguments args("maxout");
  const std::int64_t pieces = args.integer(pieces_, "pieces");
  Array x = args.input(x_, "x", "*");
  check(x.shape().size() >= 2, args.op(), ": x must have at least the dimensions (N, C), got shape ", x.shape());
  check_pieces(args, pieces);
  check(x.extent(1) % pieces == 0, args.op(), ": pieces must divide the channels of x (", x.extent(1), "), got ",
        pieces);
  Shape shape = x.shape();
  shape[1] /= pieces;
  Result y = args.output(out, "out", shape);
  Indices indices = args.new_indices(shape);
  args.check_apart(y, x, "x");
  if (y.count() > 0) compute(backend::maxout_forward, shape[0] * shape[1], pieces, inner_of(shape), x, y, indices);
  return py::make_tuple(y.object(), indices.object());
}

py::object maxout_backward(py::object dy_, py::object indices_, py::object pieces_, py::object out) {
  const Arguments args("maxout_backward");
  const std::int64_t pieces = args.integer(pieces_, "pieces");
  Array dy = args.input(dy_, "dy", "*");
  check(dy.shape().size() >= 2, args.op(), ": dy must have at least the dimensions (N, C), got shape ", dy.shape());
  check_pieces(args, pieces);
  Indices indices = args.indices(indices_, "indices", "*", pieces);
  args.check_shape(indices, "indices", dy.shape());
  Shape shape = dy.shape();
  check(!__builtin_mul_overflow(shape[1], pieces, &shape[1]), args.op(), ": pieces is too large, got ", pieces);
  Result dx = args.output(out, "out", shape);
  args.check_apart(dx, dy, "dy");
  args.check_apart(dx, indices, "indices");
  if (dx.count() > 0) {
    const auto describe = [pieces](std::int64_t position, double value) {
      return message("maxout_backward: indices.flat[", position, "] must be from 0 to ", pieces - 1, ", got ",
                     static_cast<std::int64_t>(value));
    };
    compute(backend::check_indices, indices, indices.count(), std::int64_t{0}, pieces, describe);
    compute(backend::maxout_backward, dy.extent(0) * dy.extent(1), pieces, inner_of(shape), dy, indices, dx);
  }
  return dx.object();
}

}  // namespace activation_functions

void bind_activation(py::module_& m) {
  using namespace activation_functions;
  using py::arg;
  m.def("activation", forward, arg("x"), arg("name"), arg("alpha"), arg("out"));
  m.def("activation_backward", backward, arg("dy"), arg("y"), arg("name"), arg("alpha"), arg("out"));
  m.def("maxout", maxout, arg("x"), arg("pieces"), arg("out"));
  m.def("maxout_backward", maxout_backward, arg("dy"), arg("indices"), arg("pieces"), arg("out"));
}

}  // namespace dip
