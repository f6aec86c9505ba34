// Average, sum and L2 pooling: arguments are checked here, once, for every backend.
#include "bind/arguments.h"
#include "bind/families.h"
#include "core/geometry.h"
#include "ops/pool/pool.h"

namespace dip {
namespace pool_functions {

Pool2d make_pool(const Arguments& args, const std::string& kind, const Shape& x, Pair kernel_size, Pair stride,
                 const Padding& padding, py::handle count_include_pad, py::handle rounding) {
  Pool2d p;
  p.kind = kind == "avg" ? Pooling::average : kind == "sum" ? Pooling::sum : Pooling::l2;
  p.count_include_pad = args.flag(count_include_pad, "count_include_pad");
  p.window =
      make_window(args.op(), {x[2], x[3]}, kernel_size, stride, padding, {1, 1}, args.text(rounding, "rounding"));
  for (const Axis& axis : {p.window.h, p.window.w}) {
    check(axis.pad_start < axis.kernel && axis.pad_end < axis.kernel, args.op(), ": padding (", axis.pad_start, ", ",
          axis.pad_end, ") leaves a window with no element of the input; it must be smaller than kernel_size (",
          axis.kernel, ")");
  }
  const auto fits = [](const Axis& a) {
    return (a.output - 1) * a.stride + a.kernel <= a.input + a.pad_start + a.pad_end;
  };
  p.divides_by_all = p.count_include_pad && fits(p.window.h) && fits(p.window.w);
  return p;
}

Shape output_shape(const Shape& x, const Pool2d& p) {
  return {x[0], x[1], p.window.h.output, p.window.w.output};
}

py::object forward(py::object x_, const std::string& kind, Pair kernel_size, Pair stride, Padding padding,
                   py::object count_include_pad, py::object rounding, py::object out) {
  const std::string op = kind + "_pool2d";
  const Arguments args(op.c_str());
  Array x = args.input(x_, "x", "NCHW");
  const Pool2d p = make_pool(args, kind, x.shape(), kernel_size, stride, padding, count_include_pad, rounding);
  Result y = args.output(out, "out", output_shape(x.shape(), p));
  args.check_apart(y, x, "x");
  if (y.count() > 0) compute(backend::pool2d_forward, p, x.extent(0) * x.extent(1), x, y);
  return y.object();
}

py::object backward(py::object dy_, Shape x_shape, py::object x_, py::object y_, const std::string& kind,
                    Pair kernel_size, Pair stride, Padding padding, py::object count_include_pad, py::object rounding,
                    py::object out) {
  const std::string op = kind + "_pool2d_backward";
  const Arguments args(op.c_str());
  Array dy = args.input(dy_, "dy", "NCHW");
  const bool reads_forward = kind == "l2";
  Array x = reads_forward ? args.input(x_, "x", "NCHW") : Array();
  Array y = reads_forward ? args.input(y_, "y", "NCHW") : Array();
  check(x_shape.size() == 4 && x_shape[0] >= 0 && x_shape[1] >= 0, args.op(), ": input_size must be (N, C, H, W), got ",
        x_shape);
  const Pool2d p = make_pool(args, kind, x_shape, kernel_size, stride, padding, count_include_pad, rounding);
  args.check_shape(dy, "dy", output_shape(x_shape, p));
  if (y.given()) args.check_shape(y, "y", dy.shape());
  Result dx = args.output(out, "out", x_shape);
  args.check_apart(dx, dy, "dy");
  args.check_apart(dx, x, "x");
  args.check_apart(dx, y, "y");
  if (dx.count() > 0) compute(backend::pool2d_backward, p, x_shape[0] * x_shape[1], dy, x, y, dx);
  return dx.object();
}

}  // namespace pool_functions

void bind_pool(py::module_& m) {
  using namespace pool_functions;
  using py::arg;
  m.def("pool2d", forward, arg("x"), arg("kind"), arg("kernel_size"), arg("stride"), arg("padding"),
        arg("count_include_pad"), arg("rounding"), arg("out"));
  m.def("pool2d_backward", backward, arg("dy"), arg("x_shape"), arg("x"), arg("y"), arg("kind"), arg("kernel_size"),
        arg("stride"), arg("padding"), arg("count_include_pad"), arg("rounding"), arg("out"));
}

}  // namespace dip
