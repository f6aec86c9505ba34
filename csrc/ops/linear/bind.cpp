// linear and its gradients: arguments are checked here, once, for every backend.
#include "core/arguments.h"
#include "core/families.h"
#include "ops/activation/spec.h"
#include "ops/linear/linear.h"

namespace dip {
namespace {

py::object forward(py::object x_, py::object weight_, py::object bias_, const std::string& activation, py::object alpha,
                   py::object precision, py::object out) {
  const Arguments args("linear");
  Array x = args.input(x_, "x", "NI"), weight = args.input(weight_, "weight", "OI");
  Array bias = args.optional_input(bias_, "bias", "O");
  const Linear p{x.extent(0), x.extent(1), weight.extent(0), make_activation(args, activation, alpha),
                 args.precision(precision)};
  args.check_shape(weight, "weight", {p.out, p.in});
  if (bias.given()) args.check_shape(bias, "bias", {p.out});
  Array y = args.output(out, "out", {p.N, p.out});
  args.check_apart(y, x, "x");
  args.check_apart(y, weight, "weight");
  args.check_apart(y, bias, "bias");
  const backend::Reals x_data = x.reals(), weight_data = weight.reals(), bias_data = bias.reals();
  const backend::RealResults y_data = y.results();
  {
    const ReleasedLock released;
    backend::linear_forward(p, x_data, weight_data, bias_data, y_data);
  }
  return y.object();
}

py::object backward_data(py::object dy_, py::object weight_, py::object precision, py::object out) {
  const Arguments args("linear_backward_data");
  Array dy = args.input(dy_, "dy", "NO"), weight = args.input(weight_, "weight", "OI");
  const Linear p{dy.extent(0), weight.extent(1), weight.extent(0), {}, args.precision(precision)};
  args.check_shape(dy, "dy", {p.N, p.out});
  Array dx = args.output(out, "out", {p.N, p.in});
  args.check_apart(dx, dy, "dy");
  args.check_apart(dx, weight, "weight");
  const backend::Reals dy_data = dy.reals(), weight_data = weight.reals();
  const backend::RealResults dx_data = dx.results();
  {
    const ReleasedLock released;
    backend::linear_backward_data(p, dy_data, weight_data, dx_data);
  }
  return dx.object();
}

py::object backward_weight(py::object dy_, py::object x_, py::object precision, py::object out) {
  const Arguments args("linear_backward_weight");
  Array dy = args.input(dy_, "dy", "NO"), x = args.input(x_, "x", "NI");
  const Linear p{x.extent(0), x.extent(1), dy.extent(1), {}, args.precision(precision)};
  args.check_shape(dy, "dy", {p.N, p.out});
  Array dweight = args.output(out, "out", {p.out, p.in});
  args.check_apart(dweight, dy, "dy");
  args.check_apart(dweight, x, "x");
  const backend::Reals dy_data = dy.reals(), x_data = x.reals();
  const backend::RealResults dweight_data = dweight.results();
  {
    const ReleasedLock released;
    backend::linear_backward_weight(p, dy_data, x_data, dweight_data);
  }
  return dweight.object();
}

py::object backward_bias(py::object dy_, py::object out) {
  const Arguments args("linear_backward_bias");
  Array dy = args.input(dy_, "dy", "NO");
  const Linear p{dy.extent(0), 0, dy.extent(1), {}, Precision::highest};
  Array dbias = args.output(out, "out", {p.out});
  args.check_apart(dbias, dy, "dy");
  const backend::Reals dy_data = dy.reals();
  const backend::RealResults dbias_data = dbias.results();
  {
    const ReleasedLock released;
    backend::linear_backward_bias(p, dy_data, dbias_data);
  }
  return dbias.object();
}

}  // namespace

void bind_linear(py::module_& m) {
  using py::arg;
  m.def("linear", forward, arg("x"), arg("weight"), arg("bias"), arg("activation"), arg("alpha"), arg("precision"),
        arg("out"));
  m.def("linear_backward_data", backward_data, arg("dy"), arg("weight"), arg("precision"), arg("out"));
  m.def("linear_backward_weight", backward_weight, arg("dy"), arg("x"), arg("precision"), arg("out"));
  m.def("linear_backward_bias", backward_bias, arg("dy"), arg("out"));
}

}  // namespace dip
