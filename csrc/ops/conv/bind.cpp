// conv2d and its gradients, and what a call of any convolution is made of: arguments are checked here, once, for every
// backend.
#include "ops/conv/bind.h"
#include "bind/arguments.h"
#include "bind/families.h"
#include "core/geometry.h"
#include "ops/conv/conv.h"

namespace dip {

namespace {

// What a convolution of images or clips has besides its window.
Conv2d channels_of(const Arguments& args, const Shape& x, const Shape& weight, const ConvOptions& options) {
  const std::int64_t groups = args.integer(options.groups, "groups");
  check(x[1] >= 1 && weight[0] >= 1 && weight[1] >= 1, args.op(),
        ": x and weight must have at least one channel, got x ", x, " and weight ", weight);
  check(groups >= 1 && x[1] % groups == 0 && weight[0] % groups == 0, args.op(),
        ": groups must divide the channels of x (", x[1], ") and the filters of weight (", weight[0], "), got ",
        groups);
  check(weight[1] == x[1] / groups, args.op(), ": weight must have ", x[1] / groups, " channels (those of x, ", x[1],
        ", divided by groups=", groups, "), got shape ", weight);
  Conv2d p;
  p.N = x[0];
  p.C = x[1];
  p.K = weight[0];
  p.groups = groups;
  p.precision = args.precision(options.precision);
  return p;
}

std::string rounding_of(const Arguments& args, py::handle given) {
  const std::string rounding = args.text(given, "rounding");
  check(rounding != "ceil", args.op(), ": rounding must be \"exact\" or \"floor\", got \"ceil\"");
  return rounding;
}

void drop_unused_stride(Axis& axis) {
  if (axis.output == 1) axis.stride = 1;  // which no window makes use of
}

}  // namespace

ConvCall make_conv_call(const Arguments& args, const Shape& x, const Shape& weight, const ConvOptions& options) {
  ConvCall call{channels_of(args, x, weight, options), {}};
  Window2d& window = call.p.window;
  window = make_window(args.op(), Pair{x[2], x[3]}, Pair{weight[2], weight[3]}, args.sizes<2>(options.stride, "stride"),
                       args.padding<2>(options.padding, "padding"), args.sizes<2>(options.dilation, "dilation"),
                       rounding_of(args, options.rounding));
  call.y_shape = {x[0], weight[0], window.h.output, window.w.output};
  for (Axis* axis : {&window.h, &window.w}) drop_unused_stride(*axis);
  return call;
}

Conv3dCall make_conv3d_call(const Arguments& args, const Shape& x, const Shape& weight, const ConvOptions& options) {
  Conv3dCall call{{channels_of(args, x, weight, options), {}}, {}};
  Window3d window = make_window(args.op(), Triple{x[2], x[3], x[4]}, Triple{weight[2], weight[3], weight[4]},
                                args.sizes<3>(options.stride, "stride"), args.padding<3>(options.padding, "padding"),
                                args.sizes<3>(options.dilation, "dilation"), rounding_of(args, options.rounding));
  call.y_shape = {x[0], weight[0], window.d.output, window.h.output, window.w.output};
  for (Axis* axis : {&window.d, &window.h, &window.w}) drop_unused_stride(*axis);
  call.p.frame.window = window;
  call.p.d = window.d;
  return call;
}

namespace {

// The convolution of images, for bind.h.
struct OfImages {
  static constexpr const char *name = "conv2d", *x = "NCHW", *y = "NKHW", *weight = "KCHW";
  static constexpr const char *x_size = "(N, C, H, W)", *weight_size = "(K, C, H, W)";
  static constexpr auto forward = backend::conv2d_forward;
  static constexpr auto backward_data = backend::conv2d_backward_data;
  static constexpr auto backward_weight = backend::conv2d_backward_weight;
  static constexpr auto choice = backend::conv2d_choice;
  static constexpr auto make_call = make_conv_call;
  static Conv2d& of_frames(Conv2d& p) { return p; }
};

py::object set_conv_way(py::object name) {
  backend::set_conv_way(Arguments("set_conv_way").text(name, "name"));
  return py::none();
}

}  // namespace

void bind_conv(py::module_& m) {
  conv_functions::bind_convolution<OfImages>(m);
  m.def("set_conv_way", set_conv_way, py::arg("name"));
}

}  // namespace dip
