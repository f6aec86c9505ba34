// conv_transpose2d and its gradients: arguments are checked here, once, for every backend.
#include "bind/activation.h"
#include "bind/arguments.h"
#include "bind/families.h"
#include "ops/conv/call.h"
#include "ops/conv/conv.h"
#include "ops/conv_transpose/conv_transpose.h"

namespace dip {
namespace conv_transpose_functions {

// (I − 1)·S − P_start − P_end + D·(F − 1) + output_padding + 1 along one axis.
std::int64_t transposed_size(const Arguments& args, const char* axis, std::int64_t input, std::int64_t kernel,
                             std::int64_t stride, Pair padding, std::int64_t dilation, std::int64_t output_padding) {
  check(stride >= 1 && dilation >= 1, args.op(), ": stride and dilation must be at least 1, got ", stride, " and ",
        dilation);
  check(output_padding >= 0 && output_padding < stride, args.op(),
        ": output_padding must be from 0 to stride - 1 along each axis, got ", output_padding, " for stride ", stride);
  check(input >= 1, args.op(), ": x must have at least one row and column, got ", axis, " ", input);
  check(padding[0] >= 0 && padding[1] >= 0, args.op(), ": padding must be at least 0, got (", padding[0], ", ",
        padding[1], ")");
  constexpr std::int64_t largest = std::int64_t{1} << 30;  // products of two of them stay in 64 bits
  check(input < largest && stride < largest && kernel < largest && dilation < largest && padding[0] < largest &&
            padding[1] < largest,
        args.op(), ": ", axis, " is too large");
  const std::int64_t size =
      (input - 1) * stride - padding[0] - padding[1] + dilation * (kernel - 1) + output_padding + 1;
  check(size >= 1, args.op(), ": padding (", padding[0], ", ", padding[1], ") leaves nothing of the result's ", axis,
        ", which would be ", size);
  return size;
}

// The arguments that are neither arrays nor in the shapes of these.
struct Options {
  py::object stride, padding, output_padding, groups, dilation, precision;
};

// The convolution that leads from y back to x.
ConvCall make_call(const Arguments& args, const Shape& x, const Shape& weight, const Options& options) {
  const std::int64_t groups = args.integer(options.groups, "groups");
  check(groups >= 1 && x[1] >= 1 && x[1] % groups == 0, args.op(), ": groups must divide the channels of x (", x[1],
        "), got ", groups);
  check(weight[0] == x[1], args.op(), ": weight must have as many channels in its first axis as x (", x[1],
        "), got shape ", weight);
  for (std::size_t axis : {1, 2, 3}) {
    check(weight[axis] >= 1, args.op(), ": weight must be at least 1 along every axis, got shape ", weight);
  }
  Shape y = {x[0], weight[1] * groups, 0, 0};
  const Pair stride = args.sizes<2>(options.stride, "stride"), dilation = args.sizes<2>(options.dilation, "dilation");
  const Pair output_padding = args.sizes<2>(options.output_padding, "output_padding");
  const Padding padding = args.padding<2>(options.padding, "padding");
  constexpr const char* names[] = {"height", "width"};
  for (std::size_t axis : {0, 1}) {
    y[2 + axis] = transposed_size(args, names[axis], x[2 + axis], weight[2 + axis], stride[axis], padding[axis],
                                  dilation[axis], output_padding[axis]);
  }
  return make_conv_call(
      args, y, weight,
      {options.stride, options.padding, options.dilation, options.groups, py::str("floor"), options.precision});
}

Shape y_shape_of(const Conv2d& p) {
  return {p.N, p.C, p.window.h.input, p.window.w.input};
}

py::object forward(py::object x_, py::object weight_, py::object bias_, py::object stride, py::object padding,
                   py::object output_padding, py::object groups, py::object dilation, py::object activation,
                   py::object alpha, py::object precision, py::object out) {
  const Arguments args("conv_transpose2d");
  Array x = args.input(x_, "x", "NCHW"), weight = args.input(weight_, "weight", "CKHW");
  Array bias = args.optional_input(bias_, "bias", "K");
  ConvCall call =
      make_call(args, x.shape(), weight.shape(), {stride, padding, output_padding, groups, dilation, precision});
  if (bias.given()) args.check_shape(bias, "bias", {call.p.C});
  call.p.activation = make_activation(args, activation, alpha);
  Result y = args.output(out, "out", y_shape_of(call.p));
  args.check_apart(y, x, "x");
  args.check_apart(y, weight, "weight");
  args.check_apart(y, bias, "bias");
  if (y.count() > 0) compute(backend::conv_transpose2d, call.p, x, weight, bias, y);
  return y.object();
}

py::object backward_data(py::object dy_, py::object weight_, py::object input_size, py::object stride,
                         py::object padding, py::object output_padding, py::object groups, py::object dilation,
                         py::object precision, py::object out) {
  const Arguments args("conv_transpose2d_backward_data");
  const Shape x_shape = args.integers(input_size, "input_size");
  Array dy = args.input(dy_, "dy", "NKHW"), weight = args.input(weight_, "weight", "CKHW");
  check(x_shape.size() == 4 && x_shape[0] >= 0, args.op(), ": input_size must be (N, C, H, W), got ", x_shape);
  const ConvCall call =
      make_call(args, x_shape, weight.shape(), {stride, padding, output_padding, groups, dilation, precision});
  args.check_shape(dy, "dy", y_shape_of(call.p));
  Result dx = args.output(out, "out", x_shape);
  args.check_apart(dx, dy, "dy");
  args.check_apart(dx, weight, "weight");
  if (dx.count() > 0) compute(backend::conv2d_forward, call.p, dy, weight, Array(), dx);
  return dx.object();
}

py::object backward_weight(py::object dy_, py::object x_, py::object weight_size, py::object stride, py::object padding,
                           py::object output_padding, py::object groups, py::object dilation, py::object precision,
                           py::object out) {
  const Arguments args("conv_transpose2d_backward_weight");
  const Shape weight_shape = args.integers(weight_size, "weight_size");
  Array dy = args.input(dy_, "dy", "NKHW"), x = args.input(x_, "x", "NCHW");
  check(weight_shape.size() == 4, args.op(), ": weight_size must be (C, K, H, W), got ", weight_shape);
  for (std::int64_t extent : weight_shape) {
    check(extent >= 1, args.op(), ": weight_size must be at least 1 along every axis, got ", weight_shape);
  }
  const ConvCall call =
      make_call(args, x.shape(), weight_shape, {stride, padding, output_padding, groups, dilation, precision});
  args.check_shape(dy, "dy", y_shape_of(call.p));
  Result dweight = args.output(out, "out", weight_shape);
  args.check_apart(dweight, dy, "dy");
  args.check_apart(dweight, x, "x");
  compute(backend::conv2d_backward_weight, call.p, x, dy, dweight);
  return dweight.object();
}

py::object backward_bias(py::object dy_, py::object out) {
  const Arguments args("conv_transpose2d_backward_bias");
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

}  // namespace conv_transpose_functions

void bind_conv_transpose(py::module_& m) {
  using namespace conv_transpose_functions;
  using py::arg;
  m.def("conv_transpose2d", forward, arg("x"), arg("weight"), arg("bias"), arg("stride"), arg("padding"),
        arg("output_padding"), arg("groups"), arg("dilation"), arg("activation"), arg("alpha"), arg("precision"),
        arg("out"));
  m.def("conv_transpose2d_backward_data", backward_data, arg("dy"), arg("weight"), arg("input_size"), arg("stride"),
        arg("padding"), arg("output_padding"), arg("groups"), arg("dilation"), arg("precision"), arg("out"));
  m.def("conv_transpose2d_backward_weight", backward_weight, arg("dy"), arg("x"), arg("weight_size"), arg("stride"),
        arg("padding"), arg("output_padding"), arg("groups"), arg("dilation"), arg("precision"), arg("out"));
  m.def("conv_transpose2d_backward_bias", backward_bias, arg("dy"), arg("out"));
}

}  // namespace dip
