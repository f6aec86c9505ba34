// linear and its gradients: arguments are checked here, once, for every backend.
#include "bind/activation.h"
#include "bind/arguments.h"
#include "bind/families.h"
#include "ops/linear/linear.h"

namespace dip {
namespace linear_functions {

py::object forward(py::object x_, py::object weight_, py::object bias_, py::object activation, py::object alpha,
                   py::object precision, py::object out) {
  const Arguments args("linear");
  Array x = args.input(x_, "x", "NI"), weight = args.input(weight_, "weight", "OI");
  Array bias = args.optional_input(bias_, "bias", "O");
  const Linear p{x.extent(0), x.extent(1), weight.extent(0), make_activation(args, activation, alpha),
                 args.precision(precision)};
  args.check_shape(weight, "weight", {p.out, p.in});
  if (bias.given()) args.check_shape(bias, "bias", {p.out});
  Result y = args.output(out, "out", {p.N, p.out});
  args.check_apart(y, x, "x");
  args.check_apart(y, weight, "weight");
  args.check_apart(y, bias, "bias");
  compute(backend::linear_forward, p, x, weight, bias, y);
  return y.object();
}

py::object backward_data(py::object dy_, py::object weight_, py::object precision, py::object out) {
  const Arguments args("linear_backward_data");
  Array dy = args.input(dy_, "dy", "NO"), weight = args.input(weight_, "weight", "OI");
  const Linear p{dy.extent(0), weight.extent(1), weight.extent(0), {}, args.precision(precision)};
  args.check_shape(dy, "dy", {p.N, p.out});
  Result dx = args.output(out, "out", {p.N, p.in});
  args.check_apart(dx, dy, "dy");
  args.check_apart(dx, weight, "weight");
  compute(backend::linear_backward_data, p, dy, weight, dx);
  return dx.object();
}

py::object backward_weight(py::object dy_, py::object x_, py::object precision, py::object out) {
  const Arguments args("linear_backward_weight");
  Array dy = args.input(dy_, "dy", "NO"), x = args.input(x_, "x", "NI");
  const Linear p{x.extent(0), x.extent(1), dy.extent(1), {}, args.precision(precision)};
  args.check_shape(dy, "dy", {p.N, p.out});
  Result dweight = args.output(out, "out", {p.out, p.in});
  args.check_apart(dweight, dy, "dy");
  args.check_apart(dweight, x, "x");
  compute(backend::linear_backward_weight, p, dy, x, dweight);
  return dweight.object();
}

py::object backward_bias(py::object dy_, py::object out) {
  const Arguments args("linear_backward_bias");
  Array dy = args.input(dy_, "dy", "NO");
  const Linear p{dy.extent(0), 0, dy.extent(1), {}, Precision::highest};
  Result dbias = args.output(out, "out", {p.out});
  args.check_apart(dbias, dy, "dy");
  compute(backend::linear_backward_bias, p, dy, dbias);
  return dbias.object();
}

py::object choice(py::object op_, py::object x_size, py::object weight_size, py::object precision) {
  const std::string op = string_of(op_);
  const Arguments args(op.c_str());
  const Shape x_shape = args.integers(x_size, "x_size"), weight_shape = args.integers(weight_size, "weight_size");
  check(x_shape.size() == 2 && x_shape[0] >= 0, args.op(), ": x_size must be (N, I), got ", x_shape);
  check(weight_shape.size() == 2 && weight_shape[0] >= 0 && weight_shape[1] == x_shape[1], args.op(),
        ": weight_size must be (O, ", x_shape[1], "), got ", weight_shape);
  return py::str(backend::linear_choice(op, {x_shape[0], x_shape[1], weight_shape[0], {}, args.precision(precision)}));
}

py::object set_linear_way(py::object name) {
  backend::set_linear_way(Arguments("set_linear_way").text(name, "name"));
  return py::none();
}

}  // namespace linear_functions

void bind_linear(py::module_& m) {
  using namespace linear_functions;
  using py::arg;
  m.def("linear", forward, arg("x"), arg("weight"), arg("bias"), arg("activation"), arg("alpha"), arg("precision"),
        arg("out"));
  m.def("linear_backward_data", backward_data, arg("dy"), arg("weight"), arg("precision"), arg("out"));
  m.def("linear_backward_weight", backward_weight, arg("dy"), arg("x"), arg("precision"), arg("out"));
  m.def("linear_choice", choice, arg("op"), arg("x_size"), arg("weight_size"), arg("precision"));
  m.def("set_linear_way", set_linear_way, arg("name"));
  m.def("linear_backward_bias", backward_bias, arg("dy"), arg("out"));
}

}  // namespace dip
