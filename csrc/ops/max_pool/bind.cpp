// max_pool2d and max_pool3d: arguments are checked here, once, for every backend. Its gradient is the scatter of
// ops/unpool.
#include "bind/arguments.h"
#include "bind/families.h"
#include "core/geometry.h"
#include "ops/max_pool/max_pool.h"
#include "ops/unpool/check_indices.h"

namespace dip {
namespace max_pool_functions {

// Every window must meet the input, or it has no maximum. Only windows that begin in the padding can miss it, or, when
// dilated, straddle it.
void check_windows(const Arguments& args, const Axis& axis) {
  const std::int64_t span = axis.dilation * (axis.kernel - 1) + 1;
  bool meets = axis.pad_start < span && axis.pad_end < span;
  for (std::int64_t i = 0; meets && i < axis.output; ++i) {
    const std::int64_t start = i * axis.stride - axis.pad_start;
    if (start >= 0) break;
    const std::int64_t tap = (-start + axis.dilation - 1) / axis.dilation;
    meets = tap < axis.kernel && start + tap * axis.dilation < axis.input;
  }
  check(meets, args.op(), ": padding (", axis.pad_start, ", ", axis.pad_end,
        ") leaves a window with no element of the input; it must be smaller than the window (", span, ")");
}

// `shape` is y's.
py::object pool(const Arguments& args, Array& x, const Window3d& window, const Shape& shape, py::handle out) {
  for (const Axis& axis : {window.d, window.h, window.w}) check_windows(args, axis);
  check_channel_size(args, Shape(x.shape().begin() + 2, x.shape().end()));
  Result y = args.output(out, "out", shape);
  Indices indices = args.new_indices(shape);
  args.check_apart(y, x, "x");
  if (y.count() > 0) compute(backend::max_pool_forward, window, shape[0] * shape[1], x, y, indices);
  return py::make_tuple(y.object(), indices.object());
}

py::object max_pool2d(py::object x_, py::object kernel_size, py::object stride, py::object padding, py::object dilation,
                      py::object rounding, py::object out) {
  const Arguments args("max_pool2d");
  Array x = args.input(x_, "x", "NCHW");
  const Window2d window =
      make_window(args.op(), Pair{x.extent(2), x.extent(3)}, args.sizes<2>(kernel_size, "kernel_size"),
                  args.sizes<2>(stride, "stride"), args.padding<2>(padding, "padding"),
                  args.sizes<2>(dilation, "dilation"), args.text(rounding, "rounding"));
  return pool(args, x, window, {x.extent(0), x.extent(1), window.h.output, window.w.output}, out);
}

py::object max_pool3d(py::object x_, py::object kernel_size, py::object stride, py::object padding, py::object dilation,
                      py::object rounding, py::object out) {
  const Arguments args("max_pool3d");
  Array x = args.input(x_, "x", "NCDHW");
  const Window3d window =
      make_window(args.op(), Triple{x.extent(2), x.extent(3), x.extent(4)}, args.sizes<3>(kernel_size, "kernel_size"),
                  args.sizes<3>(stride, "stride"), args.padding<3>(padding, "padding"),
                  args.sizes<3>(dilation, "dilation"), args.text(rounding, "rounding"));
  return pool(args, x, window, {x.extent(0), x.extent(1), window.d.output, window.h.output, window.w.output}, out);
}

}  // namespace max_pool_functions

void bind_max_pool(py::module_& m) {
  using namespace max_pool_functions;
  using py::arg;
  m.def("max_pool2d", max_pool2d, arg("x"), arg("kernel_size"), arg("stride"), arg("padding"), arg("dilation"),
        arg("rounding"), arg("out"));
  m.def("max_pool3d", max_pool3d, arg("x"), arg("kernel_size"), arg("stride"), arg("padding"), arg("dilation"),
        arg("rounding"), arg("out"));
}

}  // namespace dip
