// Batch normalisation: arguments are checked here, once, for every backend.
#include <limits>

#include "bind/activation.h"
#include "bind/arguments.h"
#include "bind/families.h"
#include "ops/batch_norm/batch_norm.h"

namespace dip {
namespace batch_norm_functions {

double proper(const Arguments& args, py::handle value, const char* name, double most) {
  const double number = args.real(value, name);
  check(number >= 0.0 && number <= most, args.op(), ": ", name, " must be at least 0 and ",
        most == 1.0 ? "at most 1" : "finite", ", got ", number);
  return number;
}

BatchNorm make_batch_norm(const Arguments& args, const char* name, const Shape& x, py::handle eps) {
  check(x.size() >= 2, args.op(), ": ", name, " must have at least 2 dimensions (N, C, ...), got shape ", x);
  BatchNorm p;
  p.N = x[0];
  p.C = x[1];
  p.inner = 1;
  for (std::size_t axis = 2; axis < x.size(); ++axis) p.inner *= x[axis];
  p.eps = proper(args, eps, "eps", std::numeric_limits<double>::max());
  return p;
}

void check_channels(const Arguments& args, const BatchNorm& p, const Array& array, const char* name) {
  if (array.given()) args.check_shape(array, name, {p.C});
}

py::object with_given_stats(py::object x_, py::object mean_, py::object var_, py::object weight_, py::object bias_,
                            py::object eps, py::object activation, py::object alpha, py::object out) {
  const Arguments args("batch_norm");
  Array x = args.input(x_, "x", "*"), mean = args.input(mean_, "mean", "C"), var = args.input(var_, "var", "C");
  Array weight = args.optional_input(weight_, "weight", "C"), bias = args.optional_input(bias_, "bias", "C");
  BatchNorm p = make_batch_norm(args, "x", x.shape(), eps);
  p.activation = make_activation(args, activation, alpha);
  check_channels(args, p, mean, "mean");
  check_channels(args, p, var, "var");
  check_channels(args, p, weight, "weight");
  check_channels(args, p, bias, "bias");
  Result y = args.output(out, "out", x.shape());
  args.check_apart(y, x, "x", true);
  args.check_apart(y, mean, "mean");
  args.check_apart(y, var, "var");
  args.check_apart(y, weight, "weight");
  args.check_apart(y, bias, "bias");
  if (y.count() > 0) compute(backend::batch_norm, p, x, mean, var, weight, bias, y);
  return y.object();
}

py::object with_own_stats(py::object x_, py::object running_mean_, py::object running_var_, py::object weight_,
                          py::object bias_, py::object momentum, py::object eps, py::object activation,
                          py::object alpha, py::object out) {
  const Arguments args("batch_norm_with_stats");
  Array x = args.input(x_, "x", "*");
  Array weight = args.optional_input(weight_, "weight", "C"), bias = args.optional_input(bias_, "bias", "C");
  BatchNorm p = make_batch_norm(args, "x", x.shape(), eps);
  p.momentum = proper(args, momentum, "momentum", 1.0);
  p.activation = make_activation(args, activation, alpha);
  check_channels(args, p, weight, "weight");
  check_channels(args, p, bias, "bias");
  check(running_mean_.is_none() == running_var_.is_none(), args.op(),
        ": give running_mean and running_var, or none of them");
  Array running_mean, running_var;
  if (!running_mean_.is_none()) {
    running_mean = args.in_place(running_mean_, "running_mean");
    running_var = args.in_place(running_var_, "running_var");
    check_channels(args, p, running_mean, "running_mean");
    check_channels(args, p, running_var, "running_var");
    args.check_apart(running_mean, running_var, "running_var");
  }
  check(p.count() != 1 || p.C == 0, args.op(),
        ": a channel's variance takes more than one value; x has one for each, got shape ", x.shape());
  Result y = args.output(out, "out", x.shape());
  args.check_apart(y, x, "x");
  args.check_apart(y, weight, "weight");
  args.check_apart(y, bias, "bias");
  args.check_apart(y, running_mean, "running_mean");
  args.check_apart(y, running_var, "running_var");
  for (Array* running : {&running_mean, &running_var}) {
    args.check_apart(*running, x, "x");
    args.check_apart(*running, weight, "weight");
    args.check_apart(*running, bias, "bias");
  }
  Result mean = args.output(py::none(), "mean", {p.C}), var = args.output(py::none(), "var", {p.C});
  float* averages[] = {running_mean.data<float>(), running_var.data<float>()};
  if (p.C > 0) {
    compute(backend::batch_norm_with_stats, p, x, averages[0], averages[1], weight, bias, y, mean, var);
  }
  return py::make_tuple(y.object(), mean.object(), var.object());
}

py::object backward(py::object dy_, py::object x_, py::object mean_, py::object var_, py::object weight_,
                    py::object eps, py::object training, py::object out) {
  const Arguments args("batch_norm_backward");
  Array dy = args.input(dy_, "dy", "*"), x = args.input(x_, "x", "*");
  Array mean = args.input(mean_, "mean", "C"), var = args.input(var_, "var", "C");
  Array weight = args.optional_input(weight_, "weight", "C");
  BatchNorm p = make_batch_norm(args, "x", x.shape(), eps);
  p.training = args.flag(training, "training");
  args.check_shape(dy, "dy", x.shape());
  check_channels(args, p, mean, "mean");
  check_channels(args, p, var, "var");
  check_channels(args, p, weight, "weight");
  Result dx = args.output(out, "out", x.shape());
  args.check_apart(dx, dy, "dy", true);
  args.check_apart(dx, x, "x");
  args.check_apart(dx, mean, "mean");
  args.check_apart(dx, var, "var");
  args.check_apart(dx, weight, "weight");
  Result dweight = args.output(py::none(), "dweight", {p.C}), dbias = args.output(py::none(), "dbias", {p.C});
  if (p.C > 0) compute(backend::batch_norm_backward, p, dy, x, mean, var, weight, dx, dweight, dbias);
  return py::make_tuple(dx.object(), dweight.object(), dbias.object());
}

}  // namespace batch_norm_functions

void bind_batch_norm(py::module_& m) {
  using namespace batch_norm_functions;
  using py::arg;
  m.def("batch_norm", with_given_stats, arg("x"), arg("mean"), arg("var"), arg("weight"), arg("bias"), arg("eps"),
        arg("activation"), arg("alpha"), arg("out"));
  m.def("batch_norm_with_stats", with_own_stats, arg("x"), arg("running_mean"), arg("running_var"), arg("weight"),
        arg("bias"), arg("momentum"), arg("eps"), arg("activation"), arg("alpha"), arg("out"));
  m.def("batch_norm_backward", backward, arg("dy"), arg("x"), arg("mean"), arg("var"), arg("weight"), arg("eps"),
        arg("training"), arg("out"));
}

}  // namespace dip
