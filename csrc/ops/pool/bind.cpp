// Average, sum and L2 pooling: arguments are checked here, once, for every backend.
#include <type_traits>

#include "bind/arguments.h"
#include "bind/families.h"
#include "core/geometry.h"
#include "ops/pool/pool.h"

namespace dip {
namespace pool_functions {

// What a window is, as Python gives it, for images or clips.
template <class Sizes, class Pads>
struct WindowArguments {
  Sizes kernel_size, stride;
  Pads padding;
  py::object count_include_pad, rounding;
};

using Of2d = WindowArguments<Pair, Padding>;
using Of3d = WindowArguments<Triple, Padding3d>;

Window3d window_of(const Arguments& args, const Shape& x, const Of2d& given) {
  return make_window(args.op(), Pair{x[2], x[3]}, given.kernel_size, given.stride, given.padding, Pair{1, 1},
                     args.text(given.rounding, "rounding"));
}

Window3d window_of(const Arguments& args, const Shape& x, const Of3d& given) {
  return make_window(args.op(), Triple{x[2], x[3], x[4]}, given.kernel_size, given.stride, given.padding,
                     Triple{1, 1, 1}, args.text(given.rounding, "rounding"));
}

template <class Given>
constexpr bool is_3d = std::is_same_v<Given, Of3d>;

template <class Given>
constexpr const char* layout = is_3d<Given> ? "NCDHW" : "NCHW";

template <class Given>
std::string name_of(const std::string& kind) {
  return kind + (is_3d<Given> ? "_pool3d" : "_pool2d");
}

template <class Given>
Pool make_pool(const Arguments& args, const std::string& kind, const Shape& x, const Given& given) {
  Pool p;
  p.kind = kind == "avg" ? Pooling::average : kind == "sum" ? Pooling::sum : Pooling::l2;
  p.count_include_pad = args.flag(given.count_include_pad, "count_include_pad");
  p.window = window_of(args, x, given);
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

template <class Given>
py::object forward(py::object x_, const std::string& kind, const Given& given, py::object out) {
  const std::string op = name_of<Given>(kind);
  const Arguments args(op.c_str());
  Array x = args.input(x_, "x", layout<Given>);
  const Pool p = make_pool(args, kind, x.shape(), given);
  Result y = args.output(out, "out", output_shape(x.shape(), p));
  args.check_apart(y, x, "x");
  if (y.count() > 0) compute(backend::pool_forward, p, x.extent(0) * x.extent(1), x, y);
  return y.object();
}

template <class Given>
py::object backward(py::object dy_, const Shape& x_shape, py::object x_, py::object y_, const std::string& kind,
                    const Given& given, py::object out) {
  const std::string op = name_of<Given>(kind) + "_backward";
  const Arguments args(op.c_str());
  Array dy = args.input(dy_, "dy", layout<Given>);
  const bool reads_forward = kind == "l2";
  Array x = reads_forward ? args.input(x_, "x", layout<Given>) : Array();
  Array y = reads_forward ? args.input(y_, "y", layout<Given>) : Array();
  check(x_shape.size() == (is_3d<Given> ? 5 : 4) && x_shape[0] >= 0 && x_shape[1] >= 0, args.op(),
        ": input_size must be ", is_3d<Given> ? "(N, C, D, H, W)" : "(N, C, H, W)", ", got ", x_shape);
  const Pool p = make_pool(args, kind, x_shape, given);
  args.check_shape(dy, "dy", output_shape(x_shape, p));
  if (y.given()) args.check_shape(y, "y", dy.shape());
  Result dx = args.output(out, "out", x_shape);
  args.check_apart(dx, dy, "dy");
  args.check_apart(dx, x, "x");
  args.check_apart(dx, y, "y");
  if (dx.count() > 0) compute(backend::pool_backward, p, x_shape[0] * x_shape[1], dy, x, y, dx);
  return dx.object();
}

template <class Sizes, class Pads>
py::object forward_of(py::object x, const std::string& kind, Sizes kernel_size, Sizes stride, Pads padding,
                      py::object count_include_pad, py::object rounding, py::object out) {
  return forward(x, kind, WindowArguments<Sizes, Pads>{kernel_size, stride, padding, count_include_pad, rounding}, out);
}

template <class Sizes, class Pads>
py::object backward_of(py::object dy, Shape x_shape, py::object x, py::object y, const std::string& kind,
                       Sizes kernel_size, Sizes stride, Pads padding, py::object count_include_pad, py::object rounding,
                       py::object out) {
  return backward(dy, x_shape, x, y, kind,
                  WindowArguments<Sizes, Pads>{kernel_size, stride, padding, count_include_pad, rounding}, out);
}

template <class Sizes, class Pads>
void bind_pooling(py::module_& m, const std::string& name) {
  using py::arg;
  m.def(name.c_str(), forward_of<Sizes, Pads>, arg("x"), arg("kind"), arg("kernel_size"), arg("stride"), arg("padding"),
        arg("count_include_pad"), arg("rounding"), arg("out"));
  m.def((name + "_backward").c_str(), backward_of<Sizes, Pads>, arg("dy"), arg("x_shape"), arg("x"), arg("y"),
        arg("kind"), arg("kernel_size"), arg("stride"), arg("padding"), arg("count_include_pad"), arg("rounding"),
        arg("out"));
}

}  // namespace pool_functions

void bind_pool(py::module_& m) {
  pool_functions::bind_pooling<Pair, Padding>(m, "pool2d");
  pool_functions::bind_pooling<Triple, Padding3d>(m, "pool3d");
}

}  // namespace dip
