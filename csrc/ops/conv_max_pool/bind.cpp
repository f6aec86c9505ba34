// conv2d_max_pool2d and its gradients: arguments are checked here, once, for every backend.
#include "bind/activation.h"
#include "bind/families.h"
#include "ops/conv/call.h"
#include "ops/conv_max_pool/conv_max_pool.h"
#include "ops/unpool/check_indices.h"

namespace dip {
namespace conv_max_pool_functions {

struct Call {
  ConvCall conv;
  Window2d pool;
  Shape y_shape;
};

Call make_call(const Arguments& args, const Shape& x, const Shape& weight, const ConvOptions& options,
               py::handle pool_size_) {
  const Pair pool_size = args.sizes<2>(pool_size_, "pool_size");
  Call call{make_conv_call(args, x, weight, options), {}, {}};
  const Shape& shape = call.conv.y_shape;
  call.pool = make_window(args.op(), {shape[2], shape[3]}, pool_size, pool_size, Padding{}, {1, 1},
                          args.text(options.rounding, "rounding"));
  check_channel_size(args, {shape[2], shape[3]});
  call.y_shape = {shape[0], shape[1], call.pool.h.output, call.pool.w.output};
  return call;
}

py::object forward(py::object x_, py::object weight_, py::object bias_, py::object stride, py::object padding,
                   py::object dilation, py::object groups, py::object activation, py::object alpha,
                   py::object pool_size, py::object rounding, py::object precision) {
  const Arguments args("conv2d_max_pool2d");
  Array x = args.input(x_, "x", "NCHW"), weight = args.input(weight_, "weight", "KCHW");
  Array bias = args.optional_input(bias_, "bias", "K");
  Call call =
      make_call(args, x.shape(), weight.shape(), {stride, padding, dilation, groups, rounding, precision}, pool_size);
  Conv2d& p = call.conv.p;
  if (bias.given()) args.check_shape(bias, "bias", {p.K});
  p.activation = make_activation(args, activation, alpha);
  Result y = args.output(py::none(), "y", call.y_shape);
  Indices indices = args.new_indices(call.y_shape);
  if (y.count() > 0) compute(backend::conv2d_max_pool2d_forward, p, call.pool, x, weight, bias, y, indices);
  return py::make_tuple(y.object(), indices.object());
}

py::object backward(py::object dy_, py::object indices_, py::object x_, py::object weight_, py::object stride,
                    py::object padding, py::object dilation, py::object groups, py::object pool_size,
                    py::object input_gradient_, py::object rounding, py::object precision) {
  const Arguments args("conv2d_max_pool2d_backward");
  const bool input_gradient = args.flag(input_gradient_, "input_gradient");
  Array dy = args.input(dy_, "dy", "NKHW");
  Array x = args.input(x_, "x", "NCHW"), weight = args.input(weight_, "weight", "KCHW");
  const Call call =
      make_call(args, x.shape(), weight.shape(), {stride, padding, dilation, groups, rounding, precision}, pool_size);
  const Conv2d& p = call.conv.p;
  args.check_shape(dy, "dy", call.y_shape);
  Indices indices = args.indices(indices_, "indices", "NKHW", call.pool.h.input * call.pool.w.input);
  args.check_shape(indices, "indices", call.y_shape);
  Result dx, dweight = args.output(py::none(), "dweight", weight.shape());
  Result dbias = args.output(py::none(), "dbias", {p.K});
  if (input_gradient) dx = args.output(py::none(), "dx", x.shape());
  const Shape size = {call.pool.h.input, call.pool.w.input};
  compute(backend::conv2d_max_pool2d_backward, p, call.pool, dy, indices, x, weight, dx, dweight, dbias,
          describe_index(args, call.y_shape, size));
  return py::make_tuple(input_gradient ? dx.object() : py::none(), dweight.object(), dbias.object());
}

}  // namespace conv_max_pool_functions

void bind_conv_max_pool(py::module_& m) {
  using namespace conv_max_pool_functions;
  using py::arg;
  m.def("conv2d_max_pool2d", forward, arg("x"), arg("weight"), arg("bias"), arg("stride"), arg("padding"),
        arg("dilation"), arg("groups"), arg("activation"), arg("alpha"), arg("pool_size"), arg("rounding"),
        arg("precision"));
  m.def("conv2d_max_pool2d_backward", backward, arg("dy"), arg("indices"), arg("x"), arg("weight"), arg("stride"),
        arg("padding"), arg("dilation"), arg("groups"), arg("pool_size"), arg("input_gradient"), arg("rounding"),
        arg("precision"));
}

}  // namespace dip
