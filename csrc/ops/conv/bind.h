// The functions of a convolution and its gradients as Python calls them, of images or of clips: `Of` says which, with
// the backend's operators, the layouts of the arrays, and how errors call these.
#pragma once

#include "bind/activation.h"
#include "bind/arguments.h"
#include "ops/conv/call.h"
#include "ops/conv/conv.h"

namespace dip::conv_functions {

template <class Of>
py::object forward(py::object x_, py::object weight_, py::object bias_, py::object stride, py::object padding,
                   py::object dilation, py::object groups, py::object activation, py::object alpha, py::object rounding,
                   py::object precision, py::object out) {
  const Arguments args(Of::name);
  Array x = args.input(x_, "x", Of::x), weight = args.input(weight_, "weight", Of::weight);
  Array bias = args.optional_input(bias_, "bias", "K");
  auto call = Of::make_call(args, x.shape(), weight.shape(),
                            ConvOptions{stride, padding, dilation, groups, rounding, precision});
  Conv2d& frames = Of::of_frames(call.p);
  if (bias.given()) args.check_shape(bias, "bias", {frames.K});
  frames.activation = make_activation(args, activation, alpha);
  Result y = args.output(out, "out", call.y_shape);
  args.check_apart(y, x, "x");
  args.check_apart(y, weight, "weight");
  args.check_apart(y, bias, "bias");
  if (y.count() > 0) compute(Of::forward, call.p, x, weight, bias, y);
  return y.object();
}

template <class Of>
py::object backward_data(py::object dy_, py::object weight_, py::object input_size, py::object stride,
                         py::object padding, py::object dilation, py::object groups, py::object rounding,
                         py::object precision, py::object out) {
  const std::string op = std::string(Of::name) + "_backward_data";
  const Arguments args(op.c_str());
  const Shape x_shape = args.integers(input_size, "input_size");
  Array dy = args.input(dy_, "dy", Of::y), weight = args.input(weight_, "weight", Of::weight);
  check(x_shape.size() == std::string(Of::x).size(), args.op(), ": input_size must be ", Of::x_size, ", got ", x_shape);
  check(x_shape[0] >= 0, args.op(), ": input_size must not be negative, got ", x_shape);
  const auto call =
      Of::make_call(args, x_shape, weight.shape(), ConvOptions{stride, padding, dilation, groups, rounding, precision});
  args.check_shape(dy, "dy", call.y_shape);
  Result dx = args.output(out, "out", x_shape);
  args.check_apart(dx, dy, "dy");
  args.check_apart(dx, weight, "weight");
  if (dx.count() > 0) compute(Of::backward_data, call.p, dy, weight, dx);
  return dx.object();
}

template <class Of>
py::object backward_weight(py::object dy_, py::object x_, py::object weight_size, py::object stride, py::object padding,
                           py::object dilation, py::object groups, py::object rounding, py::object precision,
                           py::object out) {
  const std::string op = std::string(Of::name) + "_backward_weight";
  const Arguments args(op.c_str());
  const Shape weight_shape = args.integers(weight_size, "weight_size");
  Array dy = args.input(dy_, "dy", Of::y), x = args.input(x_, "x", Of::x);
  check(weight_shape.size() == std::string(Of::weight).size(), args.op(), ": weight_size must be ", Of::weight_size,
        ", got ", weight_shape);
  for (std::int64_t extent : weight_shape) {
    check(extent >= 1, args.op(), ": weight_size must be at least 1 along every axis, got ", weight_shape);
  }
  const auto call =
      Of::make_call(args, x.shape(), weight_shape, ConvOptions{stride, padding, dilation, groups, rounding, precision});
  args.check_shape(dy, "dy", call.y_shape);
  Result dweight = args.output(out, "out", weight_shape);
  args.check_apart(dweight, dy, "dy");
  args.check_apart(dweight, x, "x");
  compute(Of::backward_weight, call.p, dy, x, dweight);
  return dweight.object();
}

template <class Of>
py::object backward_bias(py::object dy_, py::object out) {
  const std::string op = std::string(Of::name) + "_backward_bias";
  const Arguments args(op.c_str());
  Array dy = args.input(dy_, "dy", Of::y);
  Conv2d p;
  p.N = dy.extent(0);
  p.K = dy.extent(1);
  p.window.h.output = p.window.w.output = 1;
  for (std::size_t axis = 2; axis < dy.shape().size(); ++axis) p.window.w.output *= dy.extent(axis);
  Result dbias = args.output(out, "out", {p.K});
  args.check_apart(dbias, dy, "dy");
  compute(backend::conv2d_backward_bias, p, dy, dbias);
  return dbias.object();
}

template <class Of>
py::object choice(py::object op_, py::object x_size, py::object weight_size, py::object stride, py::object padding,
                  py::object dilation, py::object groups, py::object rounding, py::object precision) {
  const std::string op = string_of(op_);
  const Arguments args(op.c_str());
  const Shape x_shape = args.integers(x_size, "x_size"), weight_shape = args.integers(weight_size, "weight_size");
  check(x_shape.size() == std::string(Of::x).size() && x_shape[0] >= 0, args.op(), ": x_size must be ", Of::x_size,
        ", got ", x_shape);
  check(weight_shape.size() == std::string(Of::weight).size(), args.op(), ": weight_size must be ", Of::weight_size,
        ", got ", weight_shape);
  const auto call =
      Of::make_call(args, x_shape, weight_shape, ConvOptions{stride, padding, dilation, groups, rounding, precision});
  return py::str(Of::choice(op, call.p));
}

template <class Of>
void bind_convolution(py::module_& m) {
  using py::arg;
  const std::string name = Of::name;
  m.def(name.c_str(), forward<Of>, arg("x"), arg("weight"), arg("bias"), arg("stride"), arg("padding"), arg("dilation"),
        arg("groups"), arg("activation"), arg("alpha"), arg("rounding"), arg("precision"), arg("out"));
  m.def((name + "_backward_data").c_str(), backward_data<Of>, arg("dy"), arg("weight"), arg("input_size"),
        arg("stride"), arg("padding"), arg("dilation"), arg("groups"), arg("rounding"), arg("precision"), arg("out"));
  m.def((name + "_backward_weight").c_str(), backward_weight<Of>, arg("dy"), arg("x"), arg("weight_size"),
        arg("stride"), arg("padding"), arg("dilation"), arg("groups"), arg("rounding"), arg("precision"), arg("out"));
  m.def((name + "_backward_bias").c_str(), backward_bias<Of>, arg("dy"), arg("out"));
  m.def((name + "_choice").c_str(), choice<Of>, arg("op"), arg("input_size"), arg("weight_size"), arg("stride"),
        arg("padding"), arg("dilation"), arg("groups"), arg("rounding"), arg("precision"));
}

}  // namespace dip::conv_functions
