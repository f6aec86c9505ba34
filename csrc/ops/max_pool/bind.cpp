// max_pool2d and max_pool3d: arguments are checked here, once, for every backend. Its gradient is the scatter of
// ops/unpool.
#include <algorithm>
#include <array>

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

template <std::size_t axes>
py::object max_pool(py::object x_, py::object kernel_size, py::object stride, py::object padding, py::object dilation,
                    py::object rounding, py::object out) {
  const Arguments args(axes == 3 ? "max_pool3d" : "max_pool2d");
  Array x = args.input(x_, "x", axes == 3 ? "NCDHW" : "NCHW");
  const Shape channel(x.shape().begin() + 2, x.shape().end());
  std::array<std::int64_t, axes> input;
  std::copy(channel.begin(), channel.end(), input.begin());
  const Window3d window = make_window(args.op(), input, args.sizes<axes>(kernel_size, "kernel_size"),
                                      args.sizes<axes>(stride, "stride"), args.padding<axes>(padding, "padding"),
                                      args.sizes<axes>(dilation, "dilation"), args.text(rounding, "rounding"));
  for (const Axis& axis : {window.d, window.h, window.w}) check_windows(args, axis);
  check_channel_size(args, channel);
  Shape shape = {x.extent(0), x.extent(1)};
  if (axes == 3) shape.push_back(window.d.output);
  shape.insert(shape.end(), {window.h.output, window.w.output});
  Result y = args.output(out, "out", shape);
  Indices indices = args.new_indices(shape);
  args.check_apart(y, x, "x");
  if (y.count() > 0) compute(backend::max_pool_forward, window, shape[0] * shape[1], x, y, indices);
  return py::make_tuple(y.object(), indices.object());
}

template <std::size_t axes>
void bind_pooling(py::module_& m, const char* name) {
  using py::arg;
  m.def(name, max_pool<axes>, arg("x"), arg("kernel_size"), arg("stride"), arg("padding"), arg("dilation"),
        arg("rounding"), arg("out"));
}

}  // namespace max_pool_functions

void bind_max_pool(py::module_& m) {
  max_pool_functions::bind_pooling<2>(m, "max_pool2d");
  max_pool_functions::bind_pooling<3>(m, "max_pool3d");
}

}  // namespace dip
