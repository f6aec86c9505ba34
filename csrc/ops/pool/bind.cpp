// Average, sum and L2 pooling: arguments are checked here, once, for every backend.
#include <algorithm>
#include <array>

#include "bind/arguments.h"
#include "bind/families.h"
#include "core/geometry.h"
#include "ops/pool/pool.h"

namespace dip {
namespace pool_functions {

// What a window is, as Python gives it, for images or clips: of 2 or 3 axes.
struct WindowArguments {
  py::object kernel_size, stride, padding, count_include_pad, rounding;
};

template <std::size_t axes>
Window3d window_of(const Arguments& args, const Shape& x, const WindowArguments& given) {
  std::array<std::int64_t, axes> input, dilation;
  std::copy(x.end() - axes, x.end(), input.begin());
  dilation.fill(1);
  return make_window(args.op(), input, args.sizes<axes>(given.kernel_size, "kernel_size"),
                     args.sizes<axes>(given.stride, "stride"), args.padding<axes>(given.padding, "padding"), dilation,
                     args.text(given.rounding, "rounding"));
}

template <std::size_t axes>
constexpr const char* layout = axes == 3 ? "NCDHW" : "NCHW";

template <std::size_t axes>
std::string name_of(const std::string& kind) {
  return kind + (axes == 3 ? "_pool3d" : "_pool2d");
}

template <std::size_t axes>
Pool make_pool(const Arguments& args, const std::string& kind, const Shape& x, const WindowArguments& given) {
  Pool p;
  p.kind = kind == "avg" ? Pooling::average : kind == "sum" ? Pooling::sum : Pooling::l2;
  p.count_include_pad = args.flag(given.count_include_pad, "count_include_pad");
  p.window = window_of<axes>(args, x, given);
  for (const Axis& axis : {p.window.d, p.window.h, p.window.w}) {
    check(axis.pad_start < axis.kernel && axis.pad_end < axis.kernel, args.op(), ": padding (", axis.pad_start, ", ",
          axis.pad_end, ") leaves a window with no element of the input; it must be smaller than kernel_size (",
          axis.kernel, ")");
  }
  const auto fits = [](const Axis& a) {
    return (a.output - 1) * a.stride + a.kernel <= a.input + a.pad_start + a.pad_end;
  };
  p.divides_by_all = p.count_include_pad && fits(p.window.d) && fits(p.window.h) && fits(p.window.w);
  return p;
}

Shape output_shape(const Shape& x, const Pool& p) {
  if (x.size() == 4) return {x[0], x[1], p.window.h.output, p.window.w.output};
  return {x[0], x[1], p.window.d.output, p.window.h.output, p.window.w.output};
}

template <std::size_t axes>
py::object forward(py::object x_, py::object kind_, py::object kernel_size, py::object stride, py::object padding,
                   py::object count_include_pad, py::object rounding, py::object out) {
  const std::string kind = string_of(kind_), op = name_of<axes>(kind);
  const Arguments args(op.c_str());
  Array x = args.input(x_, "x", layout<axes>);
  const Pool p = make_pool<axes>(args, kind, x.shape(), {kernel_size, stride, padding, count_include_pad, rounding});
  Result y = args.output(out, "out", output_shape(x.shape(), p));
  args.check_apart(y, x, "x");
  if (y.count() > 0) compute(backend::pool_forward, p, x.extent(0) * x.extent(1), x, y);
  return y.object();
}

template <std::size_t axes>
py::object backward(py::object dy_, py::object input_size, py::object x_, py::object y_, py::object kind_,
                    py::object kernel_size, py::object stride, py::object padding, py::object count_include_pad,
                    py::object rounding, py::object out) {
  const std::string kind = string_of(kind_), op = name_of<axes>(kind) + "_backward";
  const Arguments args(op.c_str());
  const Shape x_shape = args.integers(input_size, "input_size");
  Array dy = args.input(dy_, "dy", layout<axes>);
  const bool reads_forward = kind == "l2";
  Array x = reads_forward ? args.input(x_, "x", layout<axes>) : Array();
  Array y = reads_forward ? args.input(y_, "y", layout<axes>) : Array();
  check(x_shape.size() == 2 + axes && x_shape[0] >= 0 && x_shape[1] >= 0, args.op(), ": input_size must be ",
        axes == 3 ? "(N, C, D, H, W)" : "(N, C, H, W)", ", got ", x_shape);
  const Pool p = make_pool<axes>(args, kind, x_shape, {kernel_size, stride, padding, count_include_pad, rounding});
  args.check_shape(dy, "dy", output_shape(x_shape, p));
  if (y.given()) args.check_shape(y, "y", dy.shape());
  Result dx = args.output(out, "out", x_shape);
  args.check_apart(dx, dy, "dy");
  args.check_apart(dx, x, "x");
  args.check_apart(dx, y, "y");
  if (dx.count() > 0) compute(backend::pool_backward, p, x_shape[0] * x_shape[1], dy, x, y, dx);
  return dx.object();
}

template <std::size_t axes>
void bind_pooling(py::module_& m, const std::string& name) {
  using py::arg;
  m.def(name.c_str(), forward<axes>, arg("x"), arg("kind"), arg("kernel_size"), arg("stride"), arg("padding"),
        arg("count_include_pad"), arg("rounding"), arg("out"));
  m.def((name + "_backward").c_str(), backward<axes>, arg("dy"), arg("x_shape"), arg("x"), arg("y"), arg("kind"),
        arg("kernel_size"), arg("stride"), arg("padding"), arg("count_include_pad"), arg("rounding"), arg("out"));
}

}  // namespace pool_functions

void bind_pool(py::module_& m) {
  pool_functions::bind_pooling<2>(m, "pool2d");
  pool_functions::bind_pooling<3>(m, "pool3d");
}

}  // namespace dip
