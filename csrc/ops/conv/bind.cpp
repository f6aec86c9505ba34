// conv2d and its gradients: arguments are checked here, once, for every backend.
#include "bind/activation.h"
#include "bind/arguments.h"
#include "bind/families.h"
#include "core/geometry.h"
#include "ops/conv/call.h"
#include "ops/conv/conv.h"

namespace dip {

ConvCall make_conv_call(const Arguments& args, const Shape& x, const Shape& weight, const ConvOptions& options) {
  const std::int64_t groups = args.integer(options.groups, "groups");
  check(x[1] >= 1 && weight[0] >= 1 && weight[1] >= 1, args.op(),
        ": x and weight must have at least one channel, got x ", x, " and weight ", weight);
  check(groups >= 1 && x[1] % groups == 0 && weight[0] % groups == 0, args.op(),
        ": groups must divide the channels of x (", x[1], ") and the filters of weight (", weight[0], "), got ",
        groups);
  check(weight[1] == x[1] / groups, args.op(), ": weight must have ", x[1] / groups, " channels (those of x, ", x[1],
        ", divided by groups=", groups, "), got shape ", weight);
  const std::string rounding = args.text(options.rounding, "rounding");
  check(rounding != "ceil", args.op(), ": rounding must be \"exact\" or \"floor\", got \"ceil\"");
  ConvCall call;
  call.p.N = x[0];
  call.p.C = x[1];
  call.p.K = weight[0];
  call.p.groups = groups;
  call.p.precision = args.precision(options.precision);
  call.p.window = make_window(args.op(), {x[2], x[3]}, {weight[2], weight[3]}, options.stride, options.padding,
                              options.dilation, rounding);
  call.y_shape = {x[0], weight[0], call.p.window.h.output, call.p.window.w.output};
  for (Axis* axis : {&call.p.window.h, &call.p.window.w}) {
    if (axis->output == 1) axis->stride = 1;  // which no window makes use of
  }
  return call;
}

namespace conv_functions {

py::object forward(py::object x_, py::object weight_, py::object bias_, Pair stride, Padding padding, Pair dilation,
                   py::object groups, const std::string& activation, py::object alpha, py::object rounding,
                   py::object precision, py::object out) {
  const Arguments args("conv2d");
  Array x = args.input(x_, "x", "NCHW"), weight = args.input(weight_, "weight", "KCHW");
  Array bias = args.optional_input(bias_, "bias", "K");
  ConvCall call =
      make_conv_call(args, x.shape(), weight.shape(), {stride, padding, dilation, groups, rounding, precision});
  if (bias.given()) args.check_shape(bias, "bias", {call.p.K});
  call.p.activation = make_activation(args, activation, alpha);
  Result y = args.output(out, "out", call.y_shape);
  args.check_apart(y, x, "x");
  args.check_apart(y, weight, "weight");
  args.check_apart(y, bias, "bias");
  if (y.count() > 0) compute(backend::conv2d_forward, call.p, x, weight, bias, y);
  return y.object();
}

py::object backward_data(py::object dy_, py::object weight_, Shape x_shape, Pair stride, Padding padding, Pair dilation,
                         py::object groups, py::object rounding, py::object precision, py::object out) {
  const Arguments args("conv2d_backward_data");
  Array dy = args.input(dy_, "dy", "NKHW"), weight = args.input(weight_, "weight", "KCHW");
  check(x_shape.size() == 4, args.op(), ": input_size must be (N, C, H, W), got ", x_shape);
  check(x_shape[0] >= 0, args.op(), ": input_size must not be negative, got ", x_shape);
  const ConvCall call =
      make_conv_call(args, x_shape, weight.shape(), {stride, padding, dilation, groups, rounding, precision});
  args.check_shape(dy, "dy", call.y_shape);
  Result dx = args.output(out, "out", x_shape);
  args.check_apart(dx, dy, "dy");
  args.check_apart(dx, weight, "weight");
  if (dx.count() > 0) compute(backend::conv2d_backward_data, call.p, dy, weight, dx);
  return dx.object();
}

py::object backward_weight(py::object dy_, py::object x_, Shape weight_shape, Pair stride, Padding padding,
                           Pair dilation, py::object groups, py::object rounding, py::object precision,
                           py::object out) {
  const Arguments args("conv2d_backward_weight");
  Array dy = args.input(dy_, "dy", "NKHW"), x = args.input(x_, "x", "NCHW");
  check(weight_shape.size() == 4, args.op(), ": weight_size must be (K, C, H, W), got ", weight_shape);
  for (std::int64_t extent : weight_shape) {
    check(extent >= 1, args.op(), ": weight_size must be at least 1 along every axis, got ", weight_shape);
  }
  const ConvCall call =
      make_conv_call(args, x.shape(), weight_shape, {stride, padding, dilation, groups, rounding, precision});
  args.check_shape(dy, "dy", call.y_shape);
  Result dweight = args.output(out, "out", weight_shape);
  args.check_apart(dweight, dy, "dy");
  args.check_apart(dweight, x, "x");
  compute(backend::conv2d_backward_weight, call.p, dy, x, dweight);
  return dweight.object();
}

py::object backward_bias(py::object dy_, py::object out) {
  const Arguments args("conv2d_backward_bias");
  Array dy = args.input(dy_, "dy", "NKHW");
  Conv2d p;
  p.N = dy.extent(0);
  p.K = dy.extent(1);
  p.window.h.output = dy.extent(2);
  p.window.w.output = dy.extent(3);
  Result dbias = args.output(out, "out", {p.K});
  args.check_apart(dbias, dy, "dy");
  compute(backend::conv2d_backward_bias, p, dy, dbias);
  return dbias.object();
}

std::string choice(const std::string& op, Shape x_shape, Shape weight_shape, Pair stride, Padding padding,
                   Pair dilation, py::object groups, py::object rounding, py::object precision) {
  const Arguments args(op.c_str());
  check(x_shape.size() == 4 && x_shape[0] >= 0, args.op(), ": x_size must be (N, C, H, W), got ", x_shape);
  check(weight_shape.size() == 4, args.op(), ": weight_size must be (K, C, H, W), got ", weight_shape);
  const ConvCall call =
      make_conv_call(args, x_shape, weight_shape, {stride, padding, dilation, groups, rounding, precision});
  return backend::conv2d_choice(op, call.p);
}

}  // namespace conv_functions

void bind_conv(py::module_& m) {
  using namespace conv_functions;
  using py::arg;
  m.def("conv2d", forward, arg("x"), arg("weight"), arg("bias"), arg("stride"), arg("padding"), arg("dilation"),
        arg("groups"), arg("activation"), arg("alpha"), arg("rounding"), arg("precision"), arg("out"));
  m.def("conv2d_backward_data", backward_data, arg("dy"), arg("weight"), arg("input_size"), arg("stride"),
        arg("padding"), arg("dilation"), arg("groups"), arg("rounding"), arg("precision"), arg("out"));
  m.def("conv2d_backward_weight", backward_weight, arg("dy"), arg("x"), arg("weight_size"), arg("stride"),
        arg("padding"), arg("dilation"), arg("groups"), arg("rounding"), arg("precision"), arg("out"));
  m.def("conv2d_choice", choice, arg("op"), arg("input_size"), arg("weight_size"), arg("stride"), arg("padding"),
        arg("dilation"), arg("groups"), arg("rounding"), arg("precision"));
  m.def(
      "set_conv_way", [](py::object name) { backend::set_conv_way(Arguments("set_conv_way").text(name, "name")); },
      arg("name"));
  m.def("conv2d_backward_bias", backward_bias, arg("dy"), arg("out"));
}

}  // namespace dip
